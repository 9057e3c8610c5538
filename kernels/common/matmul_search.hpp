// SPDX-License-Identifier: Apache-2.0
// Which of cuBLASLt's proposals is fastest here, found by timing them on the operands at hand.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <string>
#include <vector>

#include "kernels/common/matmul.hpp"
#include "kernels/common/matmul_problem.hpp"

namespace assay::kernels {

/// Products of one bucket share a winner: each size rounded up to four steps an octave (…, 4096, 5120, 6144,
/// 7168, 8192, …), so that batches of ever new lengths are not searched for one by one.
struct MatmulBucket {
  std::array<std::int64_t, 3> sizes;
  std::array<int, 4> layout;               ///< transpositions, types
  std::array<std::uint32_t, 6> alignment;  ///< of pointers and of strides: algorithms depend on both
  std::size_t workspace_bytes;
  bool adds;  ///< beta ≠ 0: cuBLASLt may run other kernels, which also read d
  auto operator<=>(const MatmulBucket&) const = default;
};
MatmulBucket bucket_of(const MatmulArgs& args);

/// The smallest of …, 4·2ᵉ, 5·2ᵉ, 6·2ᵉ, 7·2ᵉ, … that is at least `size`.
std::int64_t bucket_size(std::int64_t size);

/// The index of the fastest: medians of interleaved timings; the first, which costs nothing to know, unless
/// another is more than 1 % faster.
std::size_t fastest(const std::vector<std::vector<float>>& samples_us);

/// Times cuBLASLt's proposals for args on `stream` and waits for the device. d, written over and over, holds
/// the product in the end where beta = 0, and nothing of use otherwise. Not during a capture.
struct MatmulWinner {
  cublasLtMatmulAlgo_t algorithm;
  MatmulSearch log;
};
MatmulWinner search_fastest(cublasLtHandle_t handle, const MatmulProblem& problem, const MatmulArgs& args,
                            cudaStream_t stream);

}  // namespace assay::kernels
