// SPDX-License-Identifier: Apache-2.0
// The CPU twin of the training check, and faults that it must see.
#include "suites/backprop/training_check.hpp"

#include <ATen/TensorOperators.h>
#include <c10/cuda/CUDAFunctions.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "reference/llama/load.hpp"
#include "suites/backprop/training_losses.hpp"
#include "suites/backprop/training_text.hpp"

namespace assay::suites::backprop {
namespace {

using at::Tensor;
using reference::llama::Linear;
using testing::HasSubstr;
using testing::StartsWith;

constexpr std::int64_t kChunkRows = 70;  // of 244: three chunks and a shorter one

/// The naive runs of a variant, made once for all tests.
class TrainingCheck : public testing::Test {
 protected:
  static const std::vector<TrainingTrace>& naive(Trained trained) {
    static auto& runs = *new std::map<Trained, std::vector<TrainingTrace>>;
    auto& made = runs[trained];
    if (made.empty())
      for (const TrainingRun& run : naive_trainings(2)) made.push_back(traced(trained, run));
    return made;
  }
  static TrainingTrace traced(Trained trained, const TrainingRun& run) {
    const auto base = reference::llama::random_llama(small_training_config(), 3407);
    return train(small_training_plan(trained), base, run);
  }
  static TrainingVerdict verdict_on(Trained trained, const TrainingRun& run) {
    return judge(naive(trained), traced(trained, run));
  }
  /// The memory-efficient loss with `change` around it.
  static TrainingVerdict with_fault(Trained trained, const std::function<HeadLoss(HeadLoss)>& change) {
    TrainingRun run = memory_efficient_training(kChunkRows);
    run.loss = change(run.loss);
    return verdict_on(trained, run);
  }
};

/// The value of `value` with the gradient of `gradient`.
Tensor value_with_gradient_of(const Tensor& value, const Tensor& gradient) {
  return gradient + (value - gradient).detach();
}

TEST_F(TrainingCheck, the_memory_efficient_head_trains_adapters_as_the_naive_one_does) {
  const TrainingVerdict verdict = verdict_on(Trained::kAdapters, memory_efficient_training(kChunkRows));
  EXPECT_EQ(verdict.reason, "");
  EXPECT_TRUE(verdict.matches && verdict.fell);
  EXPECT_GT(verdict.naive.first_gradient, 0.0);
  EXPECT_LT(verdict.candidate.first_gradient, 1e-5);
}

TEST_F(TrainingCheck, the_memory_efficient_head_is_trained_as_the_naive_one_is) {
  const TrainingVerdict verdict = verdict_on(Trained::kHead, memory_efficient_training(kChunkRows));
  EXPECT_EQ(verdict.reason, "");
  EXPECT_TRUE(verdict.matches && verdict.fell);
  EXPECT_LT(verdict.candidate.first_gradient, 1e-5);
}

TEST_F(TrainingCheck, a_head_without_its_gradient_is_rejected) {
  const auto verdict = with_fault(Trained::kHead, [](HeadLoss right) {
    return [right](const Tensor& states, const Linear& head, const Tensor& labels) {
      Linear frozen = head;
      frozen.weight = head.weight.detach();
      return right(states, frozen, labels);
    };
  });
  EXPECT_FALSE(verdict.matches);
  EXPECT_FALSE(verdict.fell);
}

TEST_F(TrainingCheck, states_without_their_gradient_are_rejected) {
  const auto verdict = with_fault(Trained::kAdapters, [](HeadLoss right) {
    return [right](const Tensor& states, const Linear& head, const Tensor& labels) {
      return right(states.detach(), head, labels);
    };
  });
  EXPECT_FALSE(verdict.matches);
}

TEST_F(TrainingCheck, a_loss_twice_as_large_is_rejected) {
  const auto verdict = with_fault(Trained::kAdapters, [](HeadLoss right) {
    return [right](const Tensor& states, const Linear& head, const Tensor& labels) {
      return right(states, head, labels) * 2;
    };
  });
  EXPECT_THAT(verdict.reason, StartsWith("loss: expected at most"));
}

/// AdamW divides the scale of a gradient out, so losses and parameters hide this one.
TEST_F(TrainingCheck, a_gradient_twice_as_large_is_rejected_by_the_gradients) {
  const auto verdict = with_fault(Trained::kAdapters, [](HeadLoss right) {
    return [right](const Tensor& states, const Linear& head, const Tensor& labels) {
      const Tensor loss = right(states, head, labels);
      return value_with_gradient_of(loss, loss * 2);
    };
  });
  EXPECT_THAT(verdict.reason, StartsWith("gradient norm: expected at most"));
  EXPECT_LT(verdict.candidate.parameters, 1e-2);
  EXPECT_NEAR(verdict.candidate.first_gradient, 1.0, 1e-3);
}

TEST_F(TrainingCheck, means_of_unequal_chunks_are_rejected) {
  const auto verdict = with_fault(Trained::kHead, [](HeadLoss right) {
    return [right](const Tensor& states, const Linear& head, const Tensor& labels) {
      const auto half = [&](std::int64_t begin, std::int64_t rows) {
        return right(states.narrow(0, begin, rows), head, labels.narrow(0, begin, rows));
      };
      return (half(0, 130) + half(130, states.size(0) - 130)) / 2;
    };
  });
  EXPECT_FALSE(verdict.matches);
}

TEST_F(TrainingCheck, a_run_of_nan_is_rejected) {
  TrainingTrace broken = naive(Trained::kHead)[0];
  broken.losses[30] = std::numeric_limits<double>::quiet_NaN();
  EXPECT_FALSE(judge(naive(Trained::kHead), broken).matches);
  broken = naive(Trained::kHead)[0];
  broken.end[0].tensor = broken.end[0].tensor.clone();
  broken.end[0].tensor[3][3] = std::numeric_limits<double>::quiet_NaN();
  EXPECT_FALSE(judge(naive(Trained::kHead), broken).matches);
}

/// Naive runs that part widely make a band in which anything fits: then nothing is proven.
TEST_F(TrainingCheck, a_band_too_wide_to_tell_is_no_match) {
  TrainingTrace other = naive(Trained::kHead)[0];
  for (double& loss : other.losses) loss += 1.0;
  const auto verdict = judge({naive(Trained::kHead)[0], other}, naive(Trained::kHead)[0]);
  EXPECT_FALSE(verdict.matches);
  EXPECT_THAT(verdict.reason, HasSubstr("naive runs that agree"));
}

TEST(TrainingCheckEvidence, says_what_was_trained_and_how_far_it_was) {
  const auto evidence = nlohmann::json::parse(llama_training_check().run({}));
  EXPECT_TRUE(evidence.at("loss_matches").get<bool>() && evidence.at("loss_fell").get<bool>());
  EXPECT_FALSE(evidence.at("llama_1b").get<bool>());
  EXPECT_EQ(evidence.at("steps"), 60);
  for (const char* variant : {"lora_frozen_head_f32", "full_head_f32"}) {
    const auto& loss = evidence.at("variants").at(variant).at("loss_rms");
    EXPECT_LE(loss.at("difference").get<double>(), 1e-5) << variant;
    EXPECT_GT(loss.at("naive_difference").get<double>(), 0.0) << variant;
  }
}

TEST(GpuTrainingCheck, a_small_llama_matches_in_f32_and_bf16) {
  if (c10::cuda::device_count() == 0)
    GTEST_SKIP() << "no GPU";
  for (const auto dtype : {reference::llama::FloatType::kFloat32, reference::llama::FloatType::kBfloat16}) {
    auto config = small_training_config();
    config.dtype = dtype;
    const auto base = reference::llama::random_llama(config, 3407, {.device = at::kCUDA, .dtype = {}});
    for (const Trained trained : {Trained::kAdapters, Trained::kHead}) {
      TrainingPlan plan = small_training_plan(trained);
      plan.learning_rate = trained == Trained::kAdapters ? 2e-3 : 1e-2;
      const auto verdict = compare_training(plan, base, 4, memory_efficient_training(kChunkRows));
      EXPECT_EQ(verdict.reason, "") << static_cast<int>(dtype);
    }
  }
}

TEST(TrainingText, ids_are_read_and_what_is_no_id_is_refused) {
  const auto path = std::filesystem::path(testing::TempDir()) / ("ids_" + std::to_string(getpid()));
  const auto read = [&](const char* ids) {
    std::ofstream(path) << ids;
    return token_ids_of_file(path, 100);
  };
  EXPECT_EQ(read("3 1\n4\n")[2].item<std::int64_t>(), 4);
  for (const char* wrong : {"", "3 x", "3 -1", "100"})
    EXPECT_THROW(read(wrong), std::invalid_argument) << wrong;
  std::filesystem::remove(path);
  EXPECT_GE(bytes_of_licences().numel(), 64 << 10);
}

}  // namespace
}  // namespace assay::suites::backprop
