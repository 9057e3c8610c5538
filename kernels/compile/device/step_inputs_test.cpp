// SPDX-License-Identifier: Apache-2.0
#include "kernels/compile/device/step_inputs.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <limits>
#include <stdexcept>

#include "kernels/compile/device/tiny_step_test.hpp"

namespace assay::kernels::compile {
namespace {

using ::testing::HasSubstr;

constexpr StepCapacity kCapacity{.tokens = 256, .sequences = 3, .longest_sequence = 100, .vocab = 101};

struct Inputs {
  std::vector<std::int64_t> tokens = std::vector<std::int64_t>(90, 5),
                            labels = std::vector<std::int64_t>(90, -100);
  std::vector<std::int32_t> boundaries = {0, 60, 90}, positions;
  StepSettings settings{.learning_rate = 1e-3f, .step = 3.0f, .weight_decay = 0.5f, .largest_norm = 2.0f};

  StepInputs view() const {
    return {.tokens = tokens,
            .labels = labels,
            .boundaries = boundaries,
            .positions = positions,
            .settings = settings};
  }
};

TEST(StepInputs, what_fits_is_taken) {
  EXPECT_NO_THROW(check(Inputs().view(), kCapacity));
  Inputs empty_sequences;
  empty_sequences.boundaries = {0, 90, 90, 90};
  EXPECT_NO_THROW(check(empty_sequences.view(), kCapacity));
}

TEST(StepInputs, what_does_not_fit_is_refused_with_the_reason) {
  const auto nan = std::numeric_limits<float>::quiet_NaN();
  const std::pair<const char*, std::function<void(Inputs&)>> faults[] = {
      {"at most 256 tokens, which the step was captured for",
       [](Inputs& i) { i.tokens.resize(257, 1), i.labels.resize(257, 1); }},
      {"at most 3 sequences, which the step was captured for",
       [](Inputs& i) {
         i.boundaries = {0, 10, 20, 30, 90};
       }},
      {"at most 100 tokens in a sequence, which the step was captured for",
       [](Inputs& i) {
         i.tokens.resize(110, 1), i.labels.resize(110, 1), i.boundaries = {0, 110};
       }},
      {"a label for each of 90 tokens", [](Inputs& i) { i.labels.pop_back(); }},
      {"a position for each of 90 tokens",
       [](Inputs& i) {
         i.positions = {0, 1};
       }},
      {"tokens below the vocabulary of 101", [](Inputs& i) { i.tokens[7] = 101; }},
      {"tokens below the vocabulary", [](Inputs& i) { i.tokens[0] = -1; }},
      {"labels below the vocabulary", [](Inputs& i) { i.labels[89] = -99; }},
      {"positions of 0 or above", [](Inputs& i) { i.positions.assign(90, 0), i.positions[3] = -1; }},
      {"boundaries of at least one sequence", [](Inputs& i) { i.boundaries = {0}; }},
      {"boundaries from 0 to the 90 tokens",
       [](Inputs& i) {
         i.boundaries = {0, 60, 89};
       }},
      {"boundaries from 0",
       [](Inputs& i) {
         i.boundaries = {1, 60, 90};
       }},
      {"boundaries that do not fall",
       [](Inputs& i) {
         i.boundaries = {0, 60, 50, 90};
       }},
      {"steps counted from 1 on", [](Inputs& i) { i.settings.step = 0.0f; }},
      {"finite settings", [=](Inputs& i) { i.settings.learning_rate = nan; }},
      {"finite settings of 0 or above", [](Inputs& i) { i.settings.weight_decay = -1.0f; }}};
  for (const auto& [what, plant] : faults) {
    Inputs inputs;
    plant(inputs);
    try {
      check(inputs.view(), kCapacity);
      ADD_FAILURE() << "taken: " << what;
    } catch (const std::invalid_argument& error) {
      EXPECT_THAT(error.what(), HasSubstr(what));
    }
  }
}

/// The inputs of one step as they lie behind layout().inputs.
struct Packed {
  explicit Packed(const Inputs& inputs)
      : plan(testing::tiny_program(), {}), bytes(plan.layout().input_bytes, std::byte{0xee}) {
    pack(inputs.view(), plan, bytes.data());
  }
  template <class T>
  std::vector<T> read(const char* name) const {
    const auto index = static_cast<std::size_t>(plan.program().find(name));
    const Buffer& buffer = plan.program().buffers[index];
    std::vector<T> out(static_cast<std::size_t>(buffer.rows * buffer.columns));
    std::memcpy(out.data(), bytes.data() + plan.layout().offsets[index] - plan.layout().inputs,
                out.size() * sizeof(T));
    return out;
  }
  StepPlan plan;
  std::vector<std::byte> bytes;
};

TEST(StepInputs, what_is_behind_the_tokens_does_not_count) {
  const Packed packed{Inputs()};
  EXPECT_EQ(packed.read<std::int32_t>("boundaries"), (std::vector<std::int32_t>{0, 60, 90, 90}));
  const auto tokens = packed.read<std::int64_t>("tokens"), labels = packed.read<std::int64_t>("labels");
  const auto positions = packed.read<std::int32_t>("positions");
  ASSERT_EQ(tokens.size(), 256u);
  for (std::size_t i = 0; i < 256; ++i) {
    EXPECT_EQ(tokens[i], i < 90 ? 5 : 0) << i;
    EXPECT_EQ(labels[i], -100) << i;
    EXPECT_EQ(positions[i], static_cast<std::int32_t>(i < 60 ? i : i < 90 ? i - 60 : 0)) << i;
  }
  EXPECT_EQ(packed.read<float>("settings"), (std::vector<float>{1e-3f, 3.0f, 0.5f, 2.0f}));
}

TEST(StepInputs, given_positions_are_kept) {
  Inputs inputs;
  for (std::int32_t i = 0; i < 90; ++i) inputs.positions.push_back(1000 + i);
  const auto positions = Packed(inputs).read<std::int32_t>("positions");
  EXPECT_EQ(positions[0], 1000);
  EXPECT_EQ(positions[89], 1089);
  EXPECT_EQ(positions[90], 0);
}

}  // namespace
}  // namespace assay::kernels::compile
