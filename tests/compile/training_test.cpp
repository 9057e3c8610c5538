// SPDX-License-Identifier: Apache-2.0
// The training loop from folder to adapter: the eager step, the device's list walked on the host, and on a
// GPU.
#include <ATen/ops/tensor.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <random>

#include "kernels/common/device_bytes_test.hpp"
#include "kernels/compile/checkpoint/device/token_lines.hpp"
#include "reference/llama/adapter.hpp"
#include "reference/llama/load.hpp"
#include "tests/compile/llama_folder.hpp"
#include "tests/compile/step_problem.hpp"
#include "tests/compile/trainees.hpp"

namespace assay::testing {
namespace {

using namespace kernels::compile;              // NOLINT: whose loop this is
using namespace kernels::compile::checkpoint;  // NOLINT
using ::testing::HasSubstr;

constexpr int kSteps = 4;
const std::vector<std::int64_t> kSequences = {70, 1, 40};
constexpr std::int64_t kTokens = 111, kPadded = 128;

struct TrainingCase {
  FolderKind folder;
  ComputeType compute = ComputeType::kBfloat16;
  bool packed_base = true;
};

std::vector<TrainingCase> cases() {
  const auto kind = [](const char* name, at::ScalarType type, bool tied, bool four_bit) {
    return FolderKind{.name = name, .type = type, .tied = tied, .four_bit = four_bit, .device_size = true};
  };
  return {{kind("bf16_quantized_while_loading", at::kBFloat16, false, false)},
          {kind("four_bit_tied", at::kBFloat16, true, true)},
          {kind("f16_four_bit", at::kHalf, false, true), ComputeType::kFloat16},
          {kind("bf16_dense_in_f16", at::kBFloat16, false, false), ComputeType::kFloat16, false}};
}

CheckpointOptions options_of(const TrainingCase& c, ComputeType compute, std::int64_t tokens) {
  CheckpointOptions options{
      .tokens = tokens, .sequences = 5, .compute = compute, .packed_base = c.packed_base};
  options.lora = {.rank = 8, .alpha = 16.0, .rslora = false, .target_modules = LoraSettings().target_modules};
  options.seed = 21;
  return options;
}

PackedBatch batch() {
  std::minstd_rand random(9);
  std::vector<std::vector<std::int64_t>> sequences;
  for (const std::int64_t length : kSequences) {
    sequences.emplace_back();
    for (std::int64_t i = 0; i < length; ++i)
      sequences.back().push_back(static_cast<std::int64_t>(random() % 101));
  }
  return pack_sequences(sequences, {.tokens = 128, .sequences = 5, .longest_sequence = 128, .vocab = 101})
      .front();
}

using MakeTrainee = std::function<std::unique_ptr<Trainee>(const StepCheckpoint&, ComputeType)>;

/// Losses of kSteps steps over one batch, and of one more that moves nothing; the adapter is in
/// folder/adapter.
std::vector<double> losses_of(const MakeTrainee& make, const std::filesystem::path& folder,
                              const TrainingCase& c, ComputeType compute, std::int64_t capacity = kTokens) {
  const StepCheckpoint checkpoint(folder, options_of(c, compute, capacity));
  const auto trainee = make(checkpoint, compute);
  const PackedBatch tokens = batch();
  const auto inputs = [&](int step, float rate) {
    return tokens.inputs({.learning_rate = rate,
                          .step = static_cast<float>(step),
                          .weight_decay = 0.01f,
                          .largest_norm = 1.0f});
  };
  std::vector<double> losses;
  Training training;
  training.next = [&](int step) { return step > kSteps ? std::nullopt : std::optional(inputs(step, 1e-2f)); };
  training.report = [&](int step, float loss) {
    EXPECT_EQ(step, std::ssize(losses) + 1);
    losses.push_back(loss);
  };
  EXPECT_EQ(train(checkpoint, *trainee, training, folder / "adapter"), kSteps);
  trainee->run(inputs(kSteps + 1, 0.0f));
  losses.push_back(trainee->loss());
  return losses;
}

/// Loss of the plain model with the adapter in folder/adapter; four-bit and dense bases as they are stored.
double plain_loss_of(const std::filesystem::path& folder) {
  Problem p;
  p.model = reference::llama::load_llama(folder, {.dtype = reference::llama::FloatType::kFloat32});
  reference::llama::load_adapter(p.model, folder / "adapter");
  const PackedBatch tokens = batch();
  p.lengths = kSequences;
  p.tokens = at::tensor(at::ArrayRef<std::int64_t>(tokens.tokens), at::kLong);
  p.labels = at::tensor(at::ArrayRef<std::int64_t>(tokens.labels), at::kLong);
  return plain_loss(p);
}

/// Losses no farther from the eager run in f32 than three times what the eager run of the type is, or four
/// roundings; the adapter gives the plain model the last loss.
void expect_trains(const MakeTrainee& make) {
  for (const TrainingCase& c : cases()) {
    SCOPED_TRACE(c.folder.name);
    const LlamaFolder folder(c.folder);
    const auto exact = losses_of(make_eager_trainee, folder.path(), c, ComputeType::kFloat32);
    const bool is_stored_base = c.folder.four_bit || !c.packed_base;
    if (is_stored_base) {
      EXPECT_NEAR(plain_loss_of(folder.path()), exact.back(), 1e-5 * exact.back());
    }
    const auto same = losses_of(make_eager_trainee, folder.path(), c, c.compute);
    const auto found = losses_of(make, folder.path(), c, c.compute, kPadded);
    const double unit = c.compute == ComputeType::kFloat16 ? 0x1p-11 : 0x1p-8;
    double deviation = 0;
    for (std::size_t i = 0; i < exact.size(); ++i)
      deviation = std::max(deviation, std::abs(same[i] - exact[i]));
    const double allowed = std::max(3 * deviation, 4 * unit * exact.front());
    for (std::size_t i = 0; i < exact.size(); ++i)
      EXPECT_NEAR(found[i], exact[i], allowed) << "step " << i + 1;
    EXPECT_LT(found.back(), 0.95 * found.front());
    if (is_stored_base) {
      EXPECT_NEAR(plain_loss_of(folder.path()), found.back(), allowed);
    }
    std::printf("[ %s ] loss %.4f to %.4f, eager in f32 to %.4f; allowed %.4f\n", c.folder.name.c_str(),
                found.front(), found.back(), exact.back(), allowed);
  }
}

TEST(Training, of_the_devices_list_on_the_host_follows_the_eager_step) {
  expect_trains(make_host_trainee);
}

TEST(Training, asks_for_inputs_and_writes_no_adapter_that_is_not_finite) {
  const TrainingCase c = cases().front();
  const LlamaFolder folder(c.folder);
  const StepCheckpoint checkpoint(folder.path(), options_of(c, ComputeType::kFloat32, kTokens));
  const auto trainee = make_eager_trainee(checkpoint, ComputeType::kFloat32);
  EXPECT_THROW(train(checkpoint, *trainee, {}, folder.path() / "adapter"), std::invalid_argument);
  const PackedBatch tokens = batch();
  Training training;
  training.next = [&](int step) -> std::optional<StepInputs> {
    if (step > 1)
      return std::nullopt;
    return tokens.inputs(
        {.learning_rate = INFINITY, .step = 1.0f, .weight_decay = 0.0f, .largest_norm = 0.0f});
  };
  try {
    train(checkpoint, *trainee, training, folder.path() / "adapter");
    FAIL() << "wrote an adapter";
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(), HasSubstr("expected finite adapters"));
  }
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "adapter"));
}

TEST(GpuTraining, from_a_folder_to_an_adapter_follows_the_eager_step) {
  if (!kernels::testing::has_gpu())
    GTEST_SKIP() << "no GPU";
  expect_trains([](const StepCheckpoint& checkpoint, ComputeType compute) -> std::unique_ptr<Trainee> {
    const LossScaling scaling{.initial = compute == ComputeType::kFloat16 ? 16.0f : 0.0f};
    return std::make_unique<DeviceTrainee>(
        checkpoint,
        DeviceStepOptions{.compute = compute, .loss_scaling = scaling, .fail_after_warm_up = true});
  });
}

}  // namespace
}  // namespace assay::testing
