// SPDX-License-Identifier: Apache-2.0
// From a Hugging Face folder to a trained PEFT adapter through the eager step, held against reference/llama,
// which reads the same files with other code.
#include <ATen/TensorOperators.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cstdio>

#include "kernels/compile/checkpoint/step_checkpoint.hpp"
#include "kernels/compile/eager/eager_weights.hpp"
#include "reference/llama/adapter.hpp"
#include "reference/llama/load.hpp"
#include "reference/llama/safetensors.hpp"
#include "tests/compile/llama_folder.hpp"
#include "tests/compile/step_problem.hpp"

namespace assay::testing {
namespace {

namespace llama = reference::llama;
using at::Tensor;
using kernels::compile::EagerStep;
using kernels::compile::EagerWeights;
using kernels::compile::checkpoint::CheckpointOptions;
using kernels::compile::checkpoint::ElementType;
using kernels::compile::checkpoint::LoraSettings;
using kernels::compile::checkpoint::StepCheckpoint;

constexpr std::uint64_t kSeed = 11;
constexpr std::int64_t kTokens = 24;  // kLengths together
const LoraSettings kLora{
    .rank = 3, .alpha = 7.0, .rslora = false, .target_modules = LoraSettings().target_modules};

std::vector<FolderKind> kinds() {
  return {{.name = "bf16"},
          {.name = "f16_tied", .type = at::kHalf, .tied = true},
          {.name = "bf16_sharded_plain_rope", .llama3_rope = false, .sharded = true},
          {.name = "f16_tied_sharded", .type = at::kHalf, .tied = true, .sharded = true},
          {.name = "bf16_four_bit", .four_bit = true},
          {.name = "f16_four_bit_tied_sharded",
           .type = at::kHalf,
           .tied = true,
           .sharded = true,
           .four_bit = true}};
}

at::ScalarType scalar_type(ElementType type) {
  return type == ElementType::kFloat16    ? at::kHalf
         : type == ElementType::kBfloat16 ? at::kBFloat16
                                          : at::kFloat;
}

CheckpointOptions options_for(const FolderKind& kind, ElementType compute = ElementType::kFloat32) {
  CheckpointOptions options{.tokens = kTokens, .sequences = std::ssize(kLengths), .compute = compute};
  options.packed_base = kind.four_bit;
  options.lora = kLora, options.seed = kSeed;
  return options;
}

/// Tokens and labels of the plain model and of the step alike.
Problem problem_of(const LlamaFolder& folder) {
  Problem p;
  p.model = llama::load_llama(folder.path(), {.dtype = llama::FloatType::kFloat32});
  const at::Generator random = at::detail::createCPUGenerator(3);
  p.tokens = at::zeros({kTokens}, at::kLong).random_(0, 101, random);
  p.labels = at::zeros({kTokens}, at::kLong).random_(0, 101, random);
  p.labels[2] = -100;
  return p;
}

/// An eager step with the checkpoint's weights and the problem's tokens.
class Trained {
 public:
  Trained(const StepCheckpoint& checkpoint, ElementType compute, const Problem& p)
      : checkpoint_(checkpoint), step_(checkpoint.program(), scalar_type(compute)) {
    EagerWeights weights(step_, scalar_type(compute));
    checkpoint.load(weights);
    std::vector<std::int32_t> positions;
    for (const std::int64_t length : p.lengths)
      for (std::int32_t i = 0; i < length; ++i) positions.push_back(i);
    const std::vector<std::int32_t> boundaries = boundaries_of(p.lengths);
    step_.bind("tokens", p.tokens), step_.bind("labels", p.labels);
    step_.bind("positions", at::tensor(at::ArrayRef<std::int32_t>(positions), at::kInt));
    step_.bind("boundaries", at::tensor(at::ArrayRef<std::int32_t>(boundaries), at::kInt));
  }

  /// The loss before the step's update.
  double run(float learning_rate) {
    step_.bind("settings", at::tensor({learning_rate, static_cast<float>(++number_), 0.01f, 1.0f}));
    step_.run();
    return step_.tensor("loss").item<double>();
  }
  void save(const std::filesystem::path& folder) const {
    checkpoint_.save_adapters(folder, [&](const std::string& name) {
      const Tensor tensor = step_.tensor(name).contiguous();
      return std::vector<float>(tensor.const_data_ptr<float>(),
                                tensor.const_data_ptr<float>() + tensor.numel());
    });
  }
  const EagerStep& step() const { return step_; }

 private:
  const StepCheckpoint& checkpoint_;
  EagerStep step_;
  int number_ = 0;
};

TEST(CheckpointStep, loss_and_gradients_are_those_of_the_plain_model_of_the_same_folder) {
  for (const FolderKind& kind : kinds()) {
    SCOPED_TRACE(kind.name);
    const LlamaFolder folder(kind);
    Problem p = problem_of(folder);
    llama::add_lora(p.model, {.rank = kLora.rank, .alpha = kLora.alpha}, kSeed);
    const double loss = plain_loss(p);
    const StepCheckpoint checkpoint(folder.path(), options_for(kind));
    Trained trained(checkpoint, ElementType::kFloat32, p);
    // The same seed gives the same numbers; torch's last bit depends on whether the CPU fuses multiply and
    // add.
    for (const char* group : {"qkv", "o", "gate_up", "down"})
      EXPECT_TRUE(trained.step()
                      .tensor(std::string("layers.1.") + group + ".lora_A")
                      .allclose(stacked_a(p.model.layers[1], group, false), 0, 2e-8))
          << group;
    EXPECT_NEAR(trained.run(0.0f), loss, 1e-5 * loss);
    for (auto& [name, of] : linears_of(p.model.layers[0])) {
      const Tensor wanted = of.linear->lora->b.grad();
      const Tensor found = trained.step().tensor("layers.0." + name + ".lora_B.gradient");
      EXPECT_LE((found - wanted).norm().item<double>(), 2e-5 * wanted.norm().item<double>()) << name;
    }
  }
}

TEST(CheckpointStep, an_adapter_that_was_trained_gives_the_plain_model_the_same_loss) {
  for (const FolderKind& kind : kinds()) {
    SCOPED_TRACE(kind.name);
    const LlamaFolder folder(kind);
    Problem p = problem_of(folder);
    const StepCheckpoint checkpoint(folder.path(), options_for(kind));
    Trained trained(checkpoint, ElementType::kFloat32, p);
    const double before = trained.run(1e-2f);
    for (int i = 0; i < 3; ++i) trained.run(1e-2f);
    trained.save(folder.path() / "adapter");
    const double after = trained.run(0.0f);
    EXPECT_LT(after, 0.95 * before);

    llama::load_adapter(p.model, folder.path() / "adapter");
    EXPECT_NEAR(plain_loss(p), after, 1e-5 * after);
    // And in a step that goes on from it; the folder's settings count, not the options'.
    CheckpointOptions options = options_for(kind);
    options.adapters = folder.path() / "adapter", options.lora = {};
    const StepCheckpoint again(folder.path(), options);
    EXPECT_EQ(again.lora().rank, kLora.rank);
    EXPECT_EQ(Trained(again, ElementType::kFloat32, p).run(0.0f), after);
  }
}

TEST(CheckpointStep, sixteen_bit_steps_are_near_the_plain_model) {
  for (const FolderKind& kind : kinds()) {
    const LlamaFolder folder(kind);
    Problem p = problem_of(folder);
    llama::add_lora(p.model, {.rank = kLora.rank, .alpha = kLora.alpha}, kSeed);
    const double loss = plain_loss(p);
    for (const ElementType compute : {ElementType::kFloat16, ElementType::kBfloat16}) {
      const StepCheckpoint checkpoint(folder.path(), options_for(kind, compute));
      const double found = Trained(checkpoint, compute, p).run(0.0f);
      const double bound = compute == ElementType::kFloat16 ? 0.004 : 0.03;
      std::printf("[ %s ] %s: loss %.5f, plain %.5f\n", kind.name.c_str(),
                  compute == ElementType::kFloat16 ? "f16" : "bf16", found, loss);
      EXPECT_NEAR(found, loss, bound * loss) << kind.name;
    }
  }
}

TEST(CheckpointStep, weights_quantized_while_loading_are_those_of_a_quantized_folder) {
  for (const at::ScalarType type : {at::kHalf, at::kBFloat16}) {
    LlamaFolder dense({.name = "dense", .type = type}), quantized({.name = "four_bit", .type = type});
    quantize_linears(quantized.tensors);
    quantized.write();
    CheckpointOptions options = options_for({.name = "", .four_bit = true});
    const Problem p = problem_of(quantized);
    const StepCheckpoint from_dense(dense.path(), options), from_quantized(quantized.path(), options);
    Trained a(from_dense, ElementType::kFloat32, p), b(from_quantized, ElementType::kFloat32, p);
    EXPECT_EQ(a.run(1e-2f), b.run(1e-2f));
    EXPECT_EQ(a.run(1e-2f), b.run(1e-2f));
  }
}

TEST(CheckpointStep, linears_that_no_target_means_stay_without_an_adapter) {
  const FolderKind kind{.name = "bf16"};
  const LlamaFolder folder(kind);
  Problem p = problem_of(folder);
  CheckpointOptions options = options_for(kind);
  options.lora.target_modules = {"q_proj", "model.layers.1.mlp.down_proj"};
  const StepCheckpoint checkpoint(folder.path(), options);
  Trained trained(checkpoint, ElementType::kFloat32, p);
  for (int i = 0; i < 3; ++i) trained.run(1e-2f);
  trained.save(folder.path() / "adapter");
  const double after = trained.run(0.0f);
  const Tensor a = trained.step().tensor("layers.0.qkv.lora_A");
  EXPECT_GT(a.narrow(0, 0, kLora.rank).abs().max().item<double>(), 0.0);
  EXPECT_EQ(a.narrow(0, kLora.rank, 2 * kLora.rank).abs().max().item<double>(), 0.0);
  EXPECT_EQ(trained.step().tensor("layers.0.k_proj.lora_B").abs().max().item<double>(), 0.0);
  const llama::SafetensorsFile file(folder.path() / "adapter" / "adapter_model.safetensors");
  EXPECT_EQ(file.names().size(), 2u * (2 + 1));
  llama::load_adapter(p.model, folder.path() / "adapter");
  EXPECT_NEAR(plain_loss(p), after, 1e-5 * after);
}

}  // namespace
}  // namespace assay::testing
