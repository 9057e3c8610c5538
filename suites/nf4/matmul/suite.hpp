// SPDX-License-Identifier: Apache-2.0
// The words of nf4/matmul: what a case is, and how its tensors are named. y [m, n] = x [m, k] · Wᵀ, W [n, k]
// in 4 bits with nested absmax.
//
// Inputs:  those of nf4/dequantize for W (packed u8, absmax_codes u8, nested_absmax, nested_code,
// nested_offset f32),
//          x [m, k] of the case's dtype,
//          weight_16bit [n, k] of the case's dtype: W rounded, for those who are given 16-bit weights
// Output:  y [m, n] of the case's dtype
#pragma once

#include <cstdint>

#include "harness/core/challenge.hpp"
#include "reference/nf4/matmul.hpp"
#include "suites/nf4/suite.hpp"

namespace assay::suites::nf4::matmul {

inline constexpr const char* kMatmul = "nf4/matmul";

struct MatmulCase {
  std::int64_t n = 0, k = 0, m = 1;
  harness::Dtype dtype = harness::Dtype::kBfloat16;  ///< f16 or bf16, of x, y and weight_16bit
  std::int32_t block_size = 64;

  DequantizeCase weights() const;
};

const MatmulCase& parameters_of(const harness::Case& which);

/// Least traffic: packed weights, their statistics and x read once, y written once. Up to 64 rows of x the
/// copy rate is the ceiling, above it the matrix units: 2·m operations for 0.52 bytes pass 260 a byte (H100)
/// near m = 68.
harness::Work work_of(const MatmulCase& c);

/// The case's tensors as kernels and reference take them; pointers stay owned by `inputs`.
kernels::nf4::PackedWeights packed_weights(const MatmulCase& c, const harness::TensorSet& inputs);
reference::nf4::Product reference_product(const MatmulCase& c, const harness::TensorSet& inputs);

/// On the CPU: weights as nf4/dequantize makes them of the same seed, x normal with mean 0 and deviation 1.
harness::TensorSet make_inputs(const harness::Case& which, std::uint64_t seed);

}  // namespace assay::suites::nf4::matmul
