// SPDX-License-Identifier: Apache-2.0
// From per-tile sums and judged elements to a Parity: the limits, the worst tile, the figure that is
// reported.
#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "harness/verify/scan.hpp"
#include "harness/verify/tiles.hpp"
#include "harness/verify/verify.hpp"

namespace assay::harness {
namespace {

constexpr double kBeyondAnyLimit = std::numeric_limits<double>::max();  // finite, so that records can hold it

double rms(double squares, std::int64_t elements) {
  return elements > 0 ? std::sqrt(squares / static_cast<double>(elements)) : 0.0;
}

/// Ratio of an error to its limit; no error is within any limit.
double ratio(double error, double limit) {
  if (error == 0.0) {
    return 0.0;
  }
  return limit > 0.0 && error / limit < kBeyondAnyLimit ? error / limit : kBeyondAnyLimit;
}

struct Totals {
  double error_squares = 0, truth_squares = 0, ulp_squares = 0, error_max = 0;

  explicit Totals(const std::vector<TileErrors>& tiles) {
    for (const TileErrors& tile : tiles) {
      error_squares += tile.error_squares;
      truth_squares += tile.truth_squares;
      ulp_squares += tile.ulp_squares;
      error_max = std::max(error_max, tile.error_max);
    }
  }
  /// ‖x‖ / ‖truth‖, or ‖x‖ itself where the truth is all zeros.
  double relative(double squares) const {
    return std::sqrt(squares) / (truth_squares > 0 ? std::sqrt(truth_squares) : 1.0);
  }
};

const OutputErrors& baseline_of(const BaselineErrors& baseline, const TensorView& output) {
  for (const OutputErrors& errors : baseline.outputs) {
    if (errors.output == output.name) {
      const auto tiles = static_cast<std::size_t>(TileGrid(output.shape).tiles());
      if (errors.tile_rms.size() != tiles || errors.tile_max.size() != tiles) {
        throw std::invalid_argument(
            "output '" + output.name + "': expected baseline errors of " + std::to_string(tiles) +
            " tiles, found " + std::to_string(errors.tile_rms.size()) + "; measure them on the same case");
      }
      return errors;
    }
  }
  throw std::invalid_argument("output '" + output.name + "': the baseline has no errors for it");
}

void require_outputs(const TensorSet& outputs, const ParityRule& rule, const BaselineErrors* baseline) {
  if (outputs.views().empty()) {
    throw std::invalid_argument("expected at least one output to compare, found none");
  }
  if (rule.exact) {
    return;
  }
  if (baseline == nullptr) {
    throw std::invalid_argument(
        "the parity rule is k times the baseline's error: expected those errors, found none");
  }
  for (const OutputErrors& errors : baseline->outputs) {
    if (!outputs.contains(errors.output)) {
      throw std::invalid_argument("expected output '" + errors.output +
                                  "', which the baseline has; it is missing");
    }
  }
}

/// One output's figures, before they are merged with those of the others.
struct Judged {
  OutputScan scan;
  double rel_err = 0, max_abs_err = 0, worst_tile_ratio = 0;
  std::int64_t first_bad_tile = -1;
  std::optional<double> baseline_rel_err, limit;

  double severity() const { return limit ? ratio(rel_err, *limit) : rel_err; }
};

void judge_tiles(Judged& judged, const ParityRule& rule, const OutputErrors& baseline) {
  for (std::size_t i = 0; i < judged.scan.tiles.size(); ++i) {
    const TileErrors& tile = judged.scan.tiles[i];
    const double limit =
        rule.k * baseline.tile_rms[i] + rule.floor_ulp * rms(tile.ulp_squares, tile.elements);
    const double of_limit = ratio(rms(tile.error_squares, tile.elements), limit);
    if (judged.first_bad_tile < 0 && !(of_limit <= 1.0)) {
      judged.first_bad_tile = static_cast<std::int64_t>(i);
    }
    judged.worst_tile_ratio = std::max(judged.worst_tile_ratio, of_limit);
  }
}

Judged judge(const TensorView& output, const Oracle& oracle, ParityRule rule,
             const BaselineErrors* baseline) {
  if (const auto own = rule.floor_ulp_of.find(output.name); own != rule.floor_ulp_of.end()) {
    rule.floor_ulp = own->second;
  }
  const bool exact = rule.exact || !is_floating(output.dtype);
  const OutputErrors* against = exact ? nullptr : &baseline_of(*baseline, output);
  Judged judged;
  judged.scan =
      scan(output, oracle,
           {exact, rule.k * rule.element_slack, rule.floor_ulp, exact ? nullptr : &against->tile_max});
  const Totals totals(judged.scan.tiles);
  judged.rel_err = totals.relative(totals.error_squares);
  judged.max_abs_err = totals.error_max;
  if (against != nullptr) {
    judge_tiles(judged, rule, *against);
    judged.baseline_rel_err = against->rel_err;
    judged.limit = rule.k * against->rel_err + rule.floor_ulp * totals.relative(totals.ulp_squares);
  }
  return judged;
}

void note_first_bad(Parity& parity, const TensorView& output, const Judged& judged) {
  if (parity.first_bad_index >= 0) {
    return;
  }
  if (judged.scan.judged.first_bad >= 0) {
    parity.first_bad_index = judged.scan.judged.first_bad;
    parity.first_bad_value = judged.scan.judged.first_bad_value;
    parity.first_bad_expected = judged.scan.judged.first_bad_expected;
    parity.first_bad_output = output.name;
  } else if (judged.first_bad_tile >= 0) {
    parity.first_bad_index = TileGrid(output.shape).tile_begin(judged.first_bad_tile);
    parity.first_bad_output = output.name;
  }
}

void merge(Parity& parity, const TensorView& output, const Judged& judged) {
  note_first_bad(parity, output, judged);
  parity.elements += output.numel();
  parity.mismatches += judged.scan.judged.mismatches;
  parity.nonfinite += judged.scan.judged.nonfinite;
  parity.max_ulp = std::max(parity.max_ulp, judged.scan.judged.max_ulp);
  parity.max_abs_err = std::max(parity.max_abs_err, judged.max_abs_err);
  parity.worst_tile_ratio = std::max(parity.worst_tile_ratio, judged.worst_tile_ratio);
  for (int i = 0; i < kUlpBuckets; ++i) {
    parity.ulp_histogram[i] += judged.scan.judged.ulp_histogram[i];
  }
}

}  // namespace

Parity compare(const TensorSet& outputs, const Oracle& oracle, const ParityRule& rule,
               const BaselineErrors* baseline) {
  require_outputs(outputs, rule, baseline);
  Parity parity;
  parity.ulp_histogram.resize(kUlpBuckets);
  double worst = -1.0;
  for (const TensorView& output : outputs.views()) {
    const Judged judged = judge(output, oracle, rule, baseline);
    merge(parity, output, judged);
    if (judged.severity() > worst ||
        (judged.limit &&
         !parity.limit)) {  // the output closest to (or furthest beyond) its limit is the one reported
      worst = judged.severity();
      parity.rel_err = judged.rel_err;
      parity.baseline_rel_err = judged.baseline_rel_err;
      parity.limit = judged.limit;
    }
  }
  return parity;
}

BaselineErrors measure_errors(const TensorSet& outputs, const Oracle& oracle) {
  BaselineErrors result;
  for (const TensorView& output : outputs.views()) {
    if (!is_floating(output.dtype)) {
      continue;
    }
    const OutputScan scanned = scan(output, oracle, {});
    const Totals totals(scanned.tiles);
    OutputErrors errors;
    errors.output = output.name;
    errors.rel_err = totals.relative(totals.error_squares);
    for (const TileErrors& tile : scanned.tiles) {
      errors.tile_rms.push_back(rms(tile.error_squares, tile.elements));
      errors.tile_max.push_back(tile.error_max);
    }
    result.outputs.push_back(std::move(errors));
  }
  return result;
}

bool passes(const Parity& parity) {
  const bool compared = !parity.ulp_histogram.empty();
  const bool near = parity.limit ? parity.rel_err <= *parity.limit : true;
  return compared && parity.mismatches == 0 && parity.nonfinite == 0 && parity.first_bad_index == -1 &&
         parity.worst_tile_ratio <= 1.0 && near;
}

}  // namespace assay::harness
