// SPDX-License-Identifier: Apache-2.0
// One pass over one output beside its truth: error sums per tile, and every element judged. Streams the
// oracle in chunks of at most 16384 elements, so no f64 copy of a whole output exists.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "harness/core/challenge.hpp"
#include "harness/verify/ulp.hpp"

namespace assay::harness {

/// What one element must satisfy. Neither `exact` nor `tile_max`: errors are gathered and nothing is judged.
struct ElementRule {
  bool exact = false;
  double k = 1.0, floor_ulp = 0.0;
  const std::vector<double>* tile_max = nullptr;  ///< largest baseline error of each tile
};

/// Sums over the elements of a tile whose value and truth are both finite, or agree on being the same NaN or
/// infinity.
struct TileErrors {
  double error_squares = 0, error_max = 0, truth_squares = 0, ulp_squares = 0;
  std::int64_t elements = 0;
};

struct Judgement {
  std::int64_t mismatches = 0, nonfinite = 0, max_ulp = 0;
  std::int64_t first_bad = -1;
  double first_bad_value = 0, first_bad_expected = 0;
  std::array<std::int64_t, kUlpBuckets> ulp_histogram{};

  void merge(const Judgement& later);
};

struct OutputScan {
  std::vector<TileErrors> tiles;
  Judgement judged;
};

/// `output` lies on the CPU. Floating outputs need `oracle.truth`; exact ones and integers need
/// `oracle.exact` (integers are always held to equality and gather no errors). Throws std::invalid_argument
/// when it is missing.
OutputScan scan(const TensorView& output, const Oracle& oracle, const ElementRule& rule);

}  // namespace assay::harness
