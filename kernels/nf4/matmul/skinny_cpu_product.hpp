// SPDX-License-Identifier: Apache-2.0
// What the instruction sets of the skinny product on the CPU are given.
#pragma once

#include <cstdint>

#include "kernels/nf4/format.hpp"

namespace assay::kernels::nf4 {

inline constexpr int kMostColumns = 16;
/// Weights of a row that are decoded before they are multiplied; a multiple of every vector's lanes. 256, 512
/// and 1024 are within 15 % of each other at M from 1 to 16, but for 256 at 1024x14336 and M = 16, which
/// takes 1.9 times as long (EPYC with AVX-512, one thread, 2026-11).
inline constexpr std::int64_t kPiece = 512;

struct CpuProduct {
  PackedWeights weights;  ///< [n, k]
  std::int64_t n = 0, k = 0;
  int m = 0;
  const float* x = nullptr;  ///< [m, ldx], zeros from column k on
  std::int64_t ldx = 0;      ///< a multiple of 16
  float* y = nullptr;        ///< [m, n]
};

}  // namespace assay::kernels::nf4
