// SPDX-License-Identifier: Apache-2.0
// The step's own small kernels on the machine's GPU against loops on the host; what they refuse, without one.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <stdexcept>

#include "kernels/common/device_bytes_test.hpp"
#include "kernels/compile/device/device_memory.hpp"
#include "kernels/compile/device/small_kernels.hpp"
#include "kernels/compile/device/step_graph.hpp"

namespace assay::kernels::compile {
namespace {

using kernels::testing::DeviceBytes;

std::vector<std::uint16_t> random_bits(std::int64_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<std::uint16_t> bits(static_cast<std::size_t>(count));
  for (auto& x : bits) x = static_cast<std::uint16_t>(random());
  return bits;
}

std::vector<std::uint16_t> read_bits(const DeviceBytes& bytes, std::size_t count) {
  std::vector<std::uint16_t> bits(count);
  bytes.copy_to(bits.data());
  return bits;
}
float read_float(const DeviceBytes& bytes) {
  float first = 0;
  ASSAY_CUDA_CHECK(cudaMemcpy(&first, bytes.get(), 4, cudaMemcpyDeviceToHost));
  return first;
}

class GpuSmallKernels : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!kernels::testing::has_gpu())
      GTEST_SKIP() << "no GPU";
  }
};

TEST_F(GpuSmallKernels, embed_copies_rows_and_marks_unknown_tokens) {
  for (const std::int64_t columns : {4096, 128, 24, 13}) {
    const std::int64_t vocab = 37;
    const std::vector<std::int64_t> tokens = {3, 36, 0, 3, 37, -1, 12};
    const auto table = random_bits(vocab * columns, 1);
    const DeviceBytes ids(tokens), embedding(table),
        out(nullptr, tokens.size() * static_cast<std::size_t>(columns) * 2);
    embed({.tokens = ids.as<std::int64_t>(),
           .embedding = embedding.get(),
           .out = out.get(),
           .rows = std::ssize(tokens),
           .vocab = vocab,
           .columns = columns},
          nullptr);
    const auto found = read_bits(out, tokens.size() * static_cast<std::size_t>(columns));
    for (std::size_t t = 0; t < tokens.size(); ++t)
      for (std::int64_t c = 0; c < columns; ++c) {
        const bool known = tokens[t] >= 0 && tokens[t] < vocab;
        const std::uint16_t wanted =
            known ? table[static_cast<std::size_t>(tokens[t] * columns + c)] : std::uint16_t{0x7fff};
        ASSERT_EQ(found[t * static_cast<std::size_t>(columns) + static_cast<std::size_t>(c)], wanted)
            << columns << " columns, token " << t << ", column " << c;
      }
  }
}

TEST_F(GpuSmallKernels, rows_behind_the_last_sequence_become_zero_and_no_others) {
  const std::int64_t rows = 300;
  for (const std::int32_t used : {0, 1, 170, 299, 300, 400, -5}) {
    const std::vector<std::int32_t> device_used = {used};
    const auto first = random_bits(rows * 256, 2), second = random_bits(rows * 64, 3);
    const DeviceBytes count(device_used), a(first), b(second);
    clear_rows({.used = count.as<std::int32_t>(),
                .rows = rows,
                .matrices = {{a.get(), 256}, {nullptr, 0}, {b.get(), 64}}},
               nullptr);
    const auto expect = [&](const DeviceBytes& bytes, const std::vector<std::uint16_t>& before,
                            std::int64_t columns) {
      const auto found = read_bits(bytes, before.size());
      for (std::size_t i = 0; i < before.size(); ++i) {
        const bool kept = static_cast<std::int64_t>(i) / columns < used;
        ASSERT_EQ(found[i], kept ? before[i] : 0) << used << " used, element " << i;
      }
    };
    expect(a, first, 256);
    expect(b, second, 64);
  }
}

TEST_F(GpuSmallKernels, the_scale_counts_labels_of_all_rows) {
  for (const std::size_t rows : {std::size_t{1}, std::size_t{1000}, std::size_t{70000}}) {
    std::vector<std::int64_t> labels(rows, -100);
    const DeviceBytes scale(nullptr, 4);
    std::int64_t counted = 0;
    for (std::size_t i = 0; i < rows; i += 3) labels[i] = static_cast<std::int64_t>(i), ++counted;
    for (const auto& given : {labels, std::vector<std::int64_t>(rows, -100)}) {
      const DeviceBytes device(given);
      find_loss_scale(
          {.labels = device.as<std::int64_t>(), .rows = std::ssize(given), .scale = scale.as<float>()},
          nullptr);
      EXPECT_EQ(read_float(scale), given[0] == -100 ? 1.0f : 1.0f / static_cast<float>(counted));
    }
  }
}

TEST_F(GpuSmallKernels, the_mean_is_the_scaled_sum) {
  for (const std::size_t rows : {std::size_t{0}, std::size_t{1}, std::size_t{1023}, std::size_t{50000}}) {
    std::vector<float> losses(rows + 1);
    for (std::size_t i = 0; i < rows; ++i) losses[i] = static_cast<float>(i % 11) * 0.25f;
    double sum = 0;
    for (std::size_t i = 0; i < rows; ++i) sum += losses[i];
    const DeviceBytes device(losses), scale(std::vector<float>{0.125f}), mean(nullptr, 4);
    mean_loss({.losses = device.as<float>(),
               .rows = static_cast<std::int64_t>(rows),
               .scale = scale.as<float>(),
               .mean = mean.as<float>()},
              nullptr);
    EXPECT_EQ(read_float(mean), static_cast<float>(sum * 0.125)) << rows;  // exact: quarters
  }
}

TEST_F(GpuSmallKernels, scaling_reaches_every_value) {
  for (const std::size_t count : {std::size_t{1}, std::size_t{7}, std::size_t{1024}, std::size_t{100003}}) {
    std::vector<float> values(count + 1, 3.0f);
    const DeviceBytes device(values), factor(std::vector<float>{0.5f});
    scale({.values = device.as<float>(),
           .count = static_cast<std::int64_t>(count),
           .factor = factor.as<float>()},
          nullptr);
    device.copy_to(values.data());
    for (std::size_t i = 0; i < count; ++i) ASSERT_EQ(values[i], 1.5f) << i;
    EXPECT_EQ(values[count], 3.0f) << "written behind the end";
  }
}

TEST_F(GpuSmallKernels, a_captured_graph_runs_what_was_enqueued_and_reads_memory_anew) {
  const Stream stream;
  StepGraph graph;
  EXPECT_THROW(graph.launch(stream.get()), std::logic_error);
  const DeviceBytes values(std::vector<float>(4, 1.0f)), factor(std::vector<float>{2.0f});
  const Scale args{.values = values.as<float>(), .count = 4, .factor = factor.as<float>()};
  ASSAY_CUDA_CHECK(cudaDeviceSynchronize());  // `stream` does not wait for copies on the legacy one
  graph.capture(stream.get(), [&] { scale(args, stream.get()); });
  EXPECT_EQ(graph.nodes(), 1u);
  graph.launch(stream.get());
  stream.wait();
  EXPECT_EQ(read_float(values), 2.0f);
  const float five = 5.0f;
  ASSAY_CUDA_CHECK(cudaMemcpy(factor.get(), &five, 4, cudaMemcpyHostToDevice));
  ASSAY_CUDA_CHECK(cudaDeviceSynchronize());
  graph.launch(stream.get());
  stream.wait();
  EXPECT_EQ(read_float(values), 10.0f);
}

TEST_F(GpuSmallKernels, an_exception_ends_the_capture_and_keeps_the_graph) {
  const Stream stream;
  StepGraph graph;
  const DeviceBytes values(std::vector<float>(4, 1.0f)), factor(std::vector<float>{2.0f});
  const Scale args{.values = values.as<float>(), .count = 4, .factor = factor.as<float>()};
  ASSAY_CUDA_CHECK(cudaDeviceSynchronize());  // `stream` does not wait for copies on the legacy one
  graph.capture(stream.get(), [&] { scale(args, stream.get()); });
  EXPECT_THROW(graph.capture(stream.get(), [&] { throw std::range_error("planted"); }), std::range_error);
  graph.launch(stream.get());
  stream.wait();
  EXPECT_EQ(read_float(values), 2.0f);
}

TEST(SmallKernels, bad_arguments_are_refused_before_anything_is_launched) {
  const std::int64_t tokens[2] = {};
  alignas(16) float memory[8] = {};
  const Embed right{
      .tokens = tokens, .embedding = memory, .out = memory, .rows = 1, .vocab = 1, .columns = 8};
  Embed wrong = right;
  wrong.tokens = nullptr;
  EXPECT_THROW(embed(wrong, nullptr), std::invalid_argument);
  wrong = right, wrong.vocab = 0;
  EXPECT_THROW(embed(wrong, nullptr), std::invalid_argument);
  wrong = right, wrong.rows = -1;
  EXPECT_THROW(embed(wrong, nullptr), std::invalid_argument);
  const std::int32_t used = 0;
  EXPECT_THROW(clear_rows({.used = &used, .rows = 1, .matrices = {{memory, 12}}}, nullptr),
               std::invalid_argument);
  EXPECT_THROW(clear_rows({.used = nullptr, .rows = 1, .matrices = {}}, nullptr), std::invalid_argument);
  EXPECT_THROW(find_loss_scale({.labels = tokens, .rows = 2, .scale = nullptr}, nullptr),
               std::invalid_argument);
  EXPECT_THROW(mean_loss({.losses = nullptr, .rows = 1, .scale = memory, .mean = memory}, nullptr),
               std::invalid_argument);
  EXPECT_THROW(scale({.values = memory + 1, .count = 2, .factor = memory}, nullptr), std::invalid_argument);
  EXPECT_NO_THROW(embed({}, nullptr));
  EXPECT_NO_THROW(scale({}, nullptr));
}

}  // namespace
}  // namespace assay::kernels::compile
