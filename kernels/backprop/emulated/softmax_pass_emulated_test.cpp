// SPDX-License-Identifier: Apache-2.0
// The source of the GPU's softmax kernels and their launcher, run on a CPU, against the case tables that the
// tests on a GPU read too. Of a machine like an H100: 227 KB of shared memory a block, clusters.
#include <gtest/gtest.h>

#include <ostream>

#include "kernels/backprop/softmax_pass.cu"
#include "kernels/backprop/softmax_pass_cases_test.hpp"

extern "C" {
cudaError_t cudaGetDevice(int* device) {
  *device = 0;
  return cudaSuccess;
}
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int) {
  *value = attribute == cudaDevAttrMaxSharedMemoryPerBlockOptin       ? 232448
           : attribute == cudaDevAttrMaxSharedMemoryPerMultiprocessor ? 233472
                                                                      : 9;
  return cudaSuccess;
}
cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes, const void*) {
  attributes->ptxVersion = 90;
  return cudaSuccess;
}
cudaError_t cudaFuncSetAttribute(const void*, cudaFuncAttribute, int) {
  return cudaSuccess;
}
const char* cudaGetErrorName(cudaError_t) {
  return "emulated";
}
const char* cudaGetErrorString(cudaError_t) {
  return "emulated";
}
}

namespace assay::kernels::backprop {
namespace {

using cases::Case;
using cases::kTypes;
using cases::Sample;

void allow(Sample& s) {
  emulated::allow_vectors(
      s.row(0), s.row(s.c.rows - 1) + static_cast<std::size_t>(s.c.vocab) * cases::bytes_of(s.c.type));
}

cases::Runner runner(const SoftmaxPassConfig& config) {
  return {[=](const CrossEntropyPass& pass, Sample& s) {
            allow(s);
            cross_entropy_pass(pass, config, nullptr);
          },
          [](const TokenStatisticsPass& pass, Sample& s) {
            allow(s);
            token_statistics_pass(pass, nullptr);
          },
          [](const TokenStatisticsGradientPass& pass, Sample& s) {
            allow(s);
            token_statistics_gradient_pass(pass, nullptr);
          }};
}

struct Named {
  const char* name;
  SoftmaxPassConfig config;
};
void PrintTo(const Named& named, std::ostream* out) {
  *out << named.name;
}
constexpr Named kConfigs[] = {
    {"two_sweep_96", {.threads = 96}},
    {"resident_64", {.variant = SoftmaxVariant::kResident, .threads = 64}},
    {"cluster2_64", {.variant = SoftmaxVariant::kResident, .threads = 64, .cluster = 2}},
    {"cluster8_32", {.variant = SoftmaxVariant::kResident, .threads = 32, .cluster = 8}}};

/// Small enough for an emulator; row lengths around vectors, warps and shares of a cluster are kept.
std::vector<Case> small(std::vector<Case> table) {
  std::erase_if(table, [](const Case& c) { return c.vocab > 10000; });
  for (Case& c : table) {
    c.rows = 3;
    c.vocab = c.vocab == 1000 || c.vocab == 1001 ? c.vocab - 700 : c.vocab;
  }
  return table;
}

class EmulatedSoftmaxPass : public ::testing::TestWithParam<Named> {
 protected:
  cases::Runner run() const { return runner(GetParam().config); }
};

TEST_P(EmulatedSoftmaxPass, every_option_is_the_formula) {
  for (const Case& c : small(cases::option_cases())) cases::expect_cross_entropy(c, run());
}

TEST_P(EmulatedSoftmaxPass, every_size_stride_and_alignment_is_the_formula) {
  for (const Case& c : small(cases::size_cases())) cases::expect_cross_entropy(c, run());
}

TEST_P(EmulatedSoftmaxPass, long_rows_stay_at_rounding_level) {
  for (const LogitType type : {LogitType::kFloat16, LogitType::kBfloat16}) {
    cases::expect_cross_entropy({.type = type, .rows = 1, .vocab = 70000, .label_smoothing = 0.1f}, run());
    cases::expect_cross_entropy({.type = type, .rows = 1, .vocab = 70000, .spread = 1.0}, run());
  }
}

TEST_P(EmulatedSoftmaxPass, broken_rows_and_impossible_labels_are_nan_and_spoil_no_other_row) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  for (const double value : {-kInfinity, kInfinity, std::nan("")}) {
    Sample s({.rows = 5, .vocab = 337});
    for (std::int64_t v = 0; v < 337; ++v) s.set(1, v, value);
    s.set(2, 336, std::nan(""));
    s.labels[3] = 337;
    float loss[5], lse[5];
    run().cross_entropy(s.cross_entropy(loss, lse), s);
    for (int r = 0; r < 5; ++r) {
      const bool broken = r >= 1 && r <= 3;
      EXPECT_EQ(std::isnan(loss[r]), broken) << r;
      for (std::int64_t v = 0; v < 337; ++v) ASSERT_EQ(std::isnan(s.logit(r, v)), broken) << r << " " << v;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(every_kernel, EmulatedSoftmaxPass, ::testing::ValuesIn(kConfigs),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(EmulatedTokenStatistics, every_option_and_size_is_the_formula) {
  for (const Case& c : small(cases::option_cases())) cases::expect_statistics(c, runner({}));
  for (const Case& c : small(cases::size_cases())) cases::expect_statistics(c, runner({}));
}

TEST(EmulatedTokenStatistics, minus_infinity_has_no_probability_and_no_entropy) {
  for (const LogitType type : kTypes) {
    Sample s({.type = type, .rows = 2, .vocab = 300});
    for (std::int64_t v = 0; v < 300; ++v) s.set(1, v, v == 7 ? 3.0 : static_cast<double>(-INFINITY));
    s.labels = {5, 7};
    cases::expect_statistics(s, runner({}));
  }
}

/// The emulator itself: a kernel that is wrong must not get through.
TEST(EmulatedMachineDeathTest, a_thread_that_misses_a_barrier_is_found) {
  EXPECT_DEATH(emulated::run({.threads = 64},
                             [] {
                               if (emulated::thread_index() != 3)
                                 emulated::wait_for_block();
                             }),
               "wait for each other forever");
}

TEST(EmulatedMachineDeathTest, reading_a_block_that_leaves_is_found) {
  EXPECT_DEATH(emulated::run({.blocks = 2, .threads = 32, .cluster = 2, .shared_bytes = 64},
                             [] {
                               emulated::arrive_at_cluster();
                               emulated::wait_for_cluster();
                               if (emulated::rank_in_cluster() == 0)
                                 emulated::exchange(*emulated::in_block(1, emulated::shared_memory()), 0);
                             }),
               "begun to leave");
}

TEST(EmulatedMachineDeathTest, shared_memory_past_the_end_is_found) {
  EXPECT_DEATH(emulated::run({.threads = 32, .shared_bytes = 64}, [] { emulated::shared_memory()[64] = 1; }),
               "written past its end");
}

}  // namespace
}  // namespace assay::kernels::backprop
