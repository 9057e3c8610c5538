// SPDX-License-Identifier: Apache-2.0
// The pass on the machine's GPU: every kernel that fits against f64 over the case tables that the CPU's tests
// read.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <ostream>
#include <string>
#include <vector>

#include "kernels/backprop/softmax_pass_cases_test.hpp"
#include "kernels/backprop/softmax_pass_config.hpp"
#include "kernels/common/device_bytes_test.hpp"

namespace assay::kernels::backprop {
namespace {

using cases::Case;
using cases::kTypes;
using cases::Sample;
using testing::DeviceBytes;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// A sample's arrays on the device; the logits keep their alignment and their surroundings.
struct DeviceSample {
  explicit DeviceSample(Sample& s)
      : host(s),
        allocation(s.allocation),
        bias(s.bias),
        labels(s.labels),
        class_weight(s.class_weight),
        gradient_scale(s.gradient_scale),
        upstream(s.upstream),
        results(nullptr, static_cast<std::size_t>(s.c.rows) * 3 * sizeof(float)) {}

  LogitRows logits() const {
    LogitRows rows = host.logits();
    rows.data = allocation.get() + host.offset;
    rows.bias = rows.bias == nullptr ? nullptr : bias.get();
    return rows;
  }
  CrossEntropyPass cross_entropy(CrossEntropyPass pass) const {
    pass.logits = logits();
    pass.labels = labels.as<std::int64_t>();
    pass.class_weight = pass.class_weight == nullptr ? nullptr : class_weight.as<float>();
    pass.gradient_scale = pass.gradient_scale == nullptr ? nullptr : gradient_scale.as<float>();
    pass.loss = results.as<float>();
    pass.lse = results.as<float>() + host.c.rows;
    return pass;
  }
  std::vector<float> fetch() const {
    std::vector<float> values(static_cast<std::size_t>(host.c.rows) * 3);
    ASSAY_CUDA_CHECK(cudaDeviceSynchronize());
    results.copy_to(values.data());
    allocation.copy_to(host.allocation.data());
    return values;
  }

  Sample& host;
  DeviceBytes allocation, bias, labels, class_weight, gradient_scale, upstream, results;
};

bool fits(const SoftmaxPassConfig& config, const Sample& s) {
  const SoftmaxPassShape shape{s.c.vocab, static_cast<int>(cases::bytes_of(s.c.type)), true};
  const SoftmaxPassLimits limits = softmax_pass_limits();
  return shared_bytes(config, shape) <= limits.shared_bytes_per_block &&
         (config.cluster == 1 || limits.clusters);
}

cases::Runner runner(const SoftmaxPassConfig& config) {
  cases::Runner run;
  run.cross_entropy = [=](const CrossEntropyPass& pass, Sample& s) {
    const DeviceSample device(s);
    // What does not fit runs as chosen: the values must be right all the same.
    if (fits(config, s))
      cross_entropy_pass(device.cross_entropy(pass), config, nullptr);
    else
      cross_entropy_pass(device.cross_entropy(pass), nullptr);
    const std::vector<float> values = device.fetch();
    std::copy_n(values.begin(), s.c.rows, pass.loss);
    std::copy_n(values.begin() + s.c.rows, s.c.rows, pass.lse);
  };
  run.statistics = [](const TokenStatisticsPass& pass, Sample& s) {
    const DeviceSample device(s);
    token_statistics_pass({.logits = device.logits(),
                           .tokens = device.labels.as<std::int64_t>(),
                           .statistics = device.results.as<float>()},
                          nullptr);
    const std::vector<float> values = device.fetch();
    std::copy(values.begin(), values.end(), pass.statistics);
  };
  run.gradient = [](const TokenStatisticsGradientPass& pass, Sample& s) {
    const DeviceSample device(s);
    ASSAY_CUDA_CHECK(cudaMemcpy(device.results.get(), pass.statistics,
                                static_cast<std::size_t>(s.c.rows) * 12, cudaMemcpyHostToDevice));
    token_statistics_gradient_pass(
        {.logits = device.logits(),
         .tokens = device.labels.as<std::int64_t>(),
         .statistics = device.results.as<float>(),
         .upstream = device.upstream.as<float>(),
         .gradient_scale = pass.gradient_scale == nullptr ? nullptr : device.gradient_scale.as<float>()},
        nullptr);
    device.fetch();
  };
  return run;
}

struct Named {
  const char* name;
  SoftmaxPassConfig config;
};
void PrintTo(const Named& named, std::ostream* out) {
  *out << named.name;
}

constexpr Named kConfigs[] = {
    {"two_sweep_32", {.threads = 32}},
    {"two_sweep_1024", {.threads = 1024}},
    {"resident_96", {.variant = SoftmaxVariant::kResident, .threads = 96}},
    {"resident_512", {.variant = SoftmaxVariant::kResident, .threads = 512}},
    {"cluster2_64", {.variant = SoftmaxVariant::kResident, .threads = 64, .cluster = 2}},
    {"cluster4_512", {.variant = SoftmaxVariant::kResident, .threads = 512, .cluster = 4}},
    {"cluster8_256", {.variant = SoftmaxVariant::kResident, .threads = 256, .cluster = 8}}};

class GpuSoftmaxPass : public ::testing::TestWithParam<Named> {
 protected:
  void SetUp() override {
    if (!testing::has_gpu())
      GTEST_SKIP() << "no GPU";
    if (GetParam().config.cluster > 1 && !softmax_pass_limits().clusters)
      GTEST_SKIP() << "no clusters on this GPU or in this build";
  }
  cases::Runner run() const { return runner(GetParam().config); }
};

TEST_P(GpuSoftmaxPass, every_option_is_the_formula) {
  for (const Case& c : cases::option_cases()) cases::expect_cross_entropy(c, run());
}

TEST_P(GpuSoftmaxPass, every_size_stride_and_alignment_is_the_formula) {
  for (const Case& c : cases::size_cases()) cases::expect_cross_entropy(c, run());
}

TEST_P(GpuSoftmaxPass, vocabularies_of_models_stay_at_rounding_level) {
  for (const LogitType type : kTypes) {
    for (const std::int64_t vocab : {50257, 128256, 151936, 256000})
      cases::expect_cross_entropy({.type = type, .rows = 2, .vocab = vocab, .label_smoothing = 0.1f}, run());
    cases::expect_cross_entropy({.type = type, .rows = 2, .vocab = 128256, .spread = 1.0}, run());
  }
}

TEST_P(GpuSoftmaxPass, large_logits_and_minus_infinity_are_the_formula) {
  for (const LogitType type : kTypes) {
    Sample s({.type = type, .rows = 4, .vocab = 300, .spread = 1e3});
    for (std::int64_t v = 0; v < 300; ++v) {
      s.set(1, v, v % 2 == 0 ? 1e4 : -1e4);
      s.set(2, v, v % 3 == 0 ? -kInfinity : 0.1 * static_cast<double>(v));
      s.set(3, v, v == 7 ? 3.0 : -kInfinity);
    }
    s.labels = {5, 4, 1, 7};
    cases::expect_cross_entropy(s, run());
  }
}

TEST_P(GpuSoftmaxPass, broken_rows_and_impossible_labels_are_nan_and_spoil_no_other_row) {
  for (const double value : {-kInfinity, kInfinity, std::nan("")}) {
    Sample s({.type = LogitType::kBfloat16, .rows = 6, .vocab = 3333});
    for (std::int64_t v = 0; v < 3333; ++v) s.set(1, v, value);
    s.set(2, 3332, std::nan(""));
    s.labels[3] = 3333;
    s.labels[4] = -1;
    float loss[6], lse[6];
    run().cross_entropy(s.cross_entropy(loss, lse), s);
    for (int r = 0; r < 6; ++r) {
      const bool broken = r >= 1 && r <= 4;
      EXPECT_EQ(std::isnan(loss[r]), broken) << "row " << r << " " << value;
      for (std::int64_t v = 0; v < 3333; ++v)
        ASSERT_EQ(std::isnan(s.logit(r, v)), broken) << "row " << r << " column " << v << " " << value;
    }
  }
}

TEST_P(GpuSoftmaxPass, equal_calls_give_equal_bits) {
  const Case c{.rows = 300, .vocab = 32001, .label_smoothing = 0.1f};
  std::vector<float> loss(300), lse(300), again(300);
  Sample first(c), second(c);
  run().cross_entropy(first.cross_entropy(loss.data(), lse.data()), first);
  run().cross_entropy(second.cross_entropy(again.data(), lse.data()), second);
  EXPECT_EQ(loss, again);
  EXPECT_EQ(first.allocation, second.allocation);
}

TEST_P(GpuSoftmaxPass, a_captured_call_is_one_kernel_and_replays) {
  Sample direct({.rows = 40, .vocab = 5000}), replayed(direct);
  std::vector<float> loss(40), lse(40);
  run().cross_entropy(direct.cross_entropy(loss.data(), lse.data()), direct);
  const DeviceSample device(replayed);
  cudaStream_t stream{};
  cudaGraph_t graph{};
  cudaGraphExec_t exec{};
  ASSAY_CUDA_CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  ASSAY_CUDA_CHECK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal));
  cross_entropy_pass(device.cross_entropy(replayed.cross_entropy(nullptr, nullptr)), GetParam().config,
                     stream);
  ASSAY_CUDA_CHECK(cudaStreamEndCapture(stream, &graph));
  std::size_t nodes = 0;
  ASSAY_CUDA_CHECK(cudaGraphGetNodes(graph, nullptr, &nodes));
  EXPECT_EQ(nodes, 1u);
  ASSAY_CUDA_CHECK(cudaGraphInstantiate(&exec, graph, 0));
  ASSAY_CUDA_CHECK(cudaGraphLaunch(exec, stream));
  ASSAY_CUDA_CHECK(cudaStreamSynchronize(stream));
  std::vector<float> values = device.fetch();
  values.resize(40);
  EXPECT_EQ(values, loss);
  EXPECT_EQ(replayed.allocation, direct.allocation);
  cudaGraphExecDestroy(exec);
  cudaGraphDestroy(graph);
  cudaStreamDestroy(stream);
}

TEST_P(GpuSoftmaxPass, without_gradient_the_logits_are_left_alone) {
  Sample s({.rows = 3, .vocab = 4097});
  const auto before = s.allocation;
  std::vector<float> loss(3), lse(3);
  CrossEntropyPass pass = s.cross_entropy(loss.data(), lse.data());
  pass.write_gradient = false;
  run().cross_entropy(pass, s);
  EXPECT_EQ(s.allocation, before);
  EXPECT_GT(loss[0], 0.0f);
}

INSTANTIATE_TEST_SUITE_P(GpuKernels, GpuSoftmaxPass, ::testing::ValuesIn(kConfigs),
                         [](const auto& info) { return std::string(info.param.name); });

class GpuTokenStatistics : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!testing::has_gpu())
      GTEST_SKIP() << "no GPU";
  }
};

TEST_F(GpuTokenStatistics, every_option_size_and_extreme_is_the_formula) {
  for (const Case& c : cases::option_cases()) cases::expect_statistics(c, runner({}));
  for (const Case& c : cases::size_cases()) cases::expect_statistics(c, runner({}));
  for (const LogitType type : kTypes) {
    cases::expect_statistics({.type = type, .rows = 2, .vocab = 128256}, runner({}));
    Sample s({.type = type, .rows = 2, .vocab = 300});
    for (std::int64_t v = 0; v < 300; ++v) s.set(1, v, v == 7 ? 3.0 : -kInfinity);
    s.labels = {5, 7};
    cases::expect_statistics(s, runner({}));
  }
}

TEST_F(GpuTokenStatistics, offsets_beyond_two_to_the_31_reach_the_right_row) {
  // Two rows 3 G elements apart: only their own bytes are written, the memory between is never touched.
  constexpr std::int64_t kStride = std::int64_t{3} << 30, kVocab = 1024;
  std::size_t free = 0, all = 0;
  ASSAY_CUDA_CHECK(cudaMemGetInfo(&free, &all));
  const auto bytes = static_cast<std::size_t>(kStride + kVocab) * 2;
  if (free < bytes + (std::size_t{1} << 30))
    GTEST_SKIP() << "needs 7 GB of free device memory";
  Sample s({.rows = 2, .vocab = kVocab});
  const DeviceBytes logits(nullptr, bytes), labels(s.labels), results(nullptr, 16);
  for (const std::int64_t r : {0, 1})
    ASSAY_CUDA_CHECK(
        cudaMemcpy(logits.get() + r * kStride * 2, s.row(r), kVocab * 2, cudaMemcpyHostToDevice));
  LogitRows rows = s.logits();
  rows.data = logits.get();
  rows.stride = kStride;
  cross_entropy_pass(
      {.logits = rows, .labels = labels.as<std::int64_t>(), .loss = results.as<float>(), .lse = nullptr},
      nullptr);
  Sample near(s);
  std::vector<float> loss(2), lse(2), far(4);
  runner(choose_softmax_pass_config({kVocab, 2, true}, softmax_pass_limits()))
      .cross_entropy(near.cross_entropy(loss.data(), lse.data()), near);
  results.copy_to(far.data());
  EXPECT_EQ(far[0], loss[0]);
  EXPECT_EQ(far[1], loss[1]);
  std::vector<std::byte> row(kVocab * 2);
  for (const std::int64_t r : {0, 1}) {
    ASSAY_CUDA_CHECK(
        cudaMemcpy(row.data(), logits.get() + r * kStride * 2, row.size(), cudaMemcpyDeviceToHost));
    EXPECT_TRUE(std::equal(row.begin(), row.end(), near.row(r))) << r;
  }
}

}  // namespace
}  // namespace assay::kernels::backprop
