// SPDX-License-Identifier: Apache-2.0
// The source of the GPU's pointwise kernels and their launchers, run on a CPU against the case tables that
// the tests on a GPU read too. Every vector access must be aligned and inside the arena.
#include <gtest/gtest.h>

#include <cstring>

#include "kernels/llama/device.cuh"
// clang-format off: the stand-in first
#include "kernels/llama/rms_norm.cu"
#include "kernels/llama/rope.cu"
#include "kernels/llama/swiglu.cu"
// clang-format on
#include "kernels/llama/pointwise_cases_test.hpp"

extern "C" {
const char* cudaGetErrorName(cudaError_t) {
  return "emulated";
}
const char* cudaGetErrorString(cudaError_t) {
  return "emulated";
}
cudaError_t cudaMemsetAsync(void* to, int value, std::size_t bytes, cudaStream_t) {
  std::memset(to, value, bytes);
  return cudaSuccess;
}
}

namespace assay::kernels::llama {
namespace {

cases::Machine emulator() {
  return {[](cases::Arena& arena, const auto& body) {
            emulated::allow_vectors(arena.data(), arena.data() + arena.size());
            body(arena.data());
          },
          [](const RmsNormForward& a) { rms_norm(a, nullptr); },
          [](const RmsNormBackward& a) { rms_norm_backward(a, nullptr); },
          [](const Rope& a) { rope(a, nullptr); },
          [](const SwigluForward& a) { swiglu(a, nullptr); },
          [](const SwigluBackward& a) { swiglu_backward(a, nullptr); }};
}

TEST(EmulatedPointwise, the_norm_is_the_formula_in_every_case) {
  for (const cases::NormCase& c : cases::norm_cases(false)) cases::expect_norm(c, emulator());
}
TEST(EmulatedPointwise, long_rows_are_the_formula_too) {
  // Four vectors a thread with and without dw, and the loop.
  cases::expect_norm({.rows = 1, .hidden = 16384, .residual = true, .trains_weight = true}, emulator());
  cases::expect_norm({.rows = 1, .hidden = 16376, .residual = true}, emulator());
  cases::expect_norm({.rows = 1, .hidden = 16392, .residual = true, .trains_weight = true}, emulator());
}
TEST(EmulatedPointwise, more_rows_than_blocks_sum_up_in_a_weight_s_gradient) {
  cases::expect_norm({.rows = 3200, .hidden = 8, .trains_weight = true},
                     emulator());  // 3072 blocks of a warp
  cases::expect_norm({.rows = 3100, .hidden = 9, .trains_weight = true}, emulator());
}
TEST(EmulatedPointwise, rope_is_the_formula_in_every_case) {
  for (const cases::RopeCase& c : cases::rope_cases(false)) cases::expect_rope(c, emulator());
  cases::expect_exact_angles(emulator());
}
TEST(EmulatedPointwise, swiglu_is_the_formula_in_every_case) {
  for (const cases::SwigluCase& c : cases::swiglu_cases(false)) cases::expect_swiglu(c, emulator());
}
TEST(EmulatedPointwise, infinities_and_nan_stay_where_they_are) {
  for (const ElementType type : cases::kTypes) cases::expect_extremes(type, emulator());
}

}  // namespace
}  // namespace assay::kernels::llama
