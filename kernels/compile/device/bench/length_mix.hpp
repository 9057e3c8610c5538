// SPDX-License-Identifier: Apache-2.0
// How long the sequences of each step are.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/compile/device/bench/bench_options.hpp"

namespace assay::kernels::compile::bench {

using Lengths = std::vector<std::int64_t>;  ///< of one step's sequences

/// Shortest and longest of a seeded mix.
inline constexpr std::int64_t kShortest = 64, kLongest = 4096;

/// Lengths from `kShortest` to the smaller of `kLongest` and `budget`, their logarithms evenly spread, until
/// no more fits; what is left goes to the last one where that stays within the longest. The same seed gives
/// the same lengths. Throws std::invalid_argument for a budget below kShortest.
Lengths seeded_lengths(std::int64_t budget, std::uint64_t seed);

/// The lengths of `count` steps as the options ask for them; a file's lines are taken in turn. Throws
/// std::invalid_argument for a file that cannot be read, an empty one, and lengths below 1.
std::vector<Lengths> lengths_of_steps(const BenchOptions& options, int count);

/// The most that any step has.
struct MixCapacity {
  std::int64_t tokens = 0, sequences = 0, longest = 0;
};
MixCapacity capacity_of(const std::vector<Lengths>& steps);

}  // namespace assay::kernels::compile::bench
