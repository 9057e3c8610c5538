// SPDX-License-Identifier: Apache-2.0
// The inner loops of the comparison, one instance per output format.
#include "harness/verify/scan.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <stdexcept>

#include "harness/verify/parallel.hpp"
#include "harness/verify/tiles.hpp"

namespace assay::harness {
namespace {

/// Truth and expected bits of one chunk; one instance per unit of work.
template <class Bits>
struct ChunkTruth {
  std::vector<double> truth;
  std::vector<Bits> expected;

  void load(const TensorView& output, const Oracle& oracle, const Chunk& chunk, bool exact) {
    const auto count = static_cast<std::size_t>(chunk.count);
    truth.resize(count);
    oracle.truth(output.name, chunk.begin, truth);
    if (exact) {
      expected.resize(count);
      oracle.exact(output.name, chunk.begin, chunk.count, reinterpret_cast<std::byte*>(expected.data()));
    }
  }
};

void note_bad(Judgement& judged, std::int64_t index, double value, double expected) {
  ++judged.mismatches;
  if (judged.first_bad < 0) {
    judged.first_bad = index;
    judged.first_bad_value = value;
    judged.first_bad_expected = expected;
  }
}

/// Adds the element to the ULP histogram; pairs of which only one is a number have no distance.
template <class F>
void count_ulp(Judgement& judged, typename F::Bits found, typename F::Bits rounded) {
  std::int64_t distance = 0;
  if (found != rounded) {
    const bool found_nan = is_nan<F>(found), rounded_nan = is_nan<F>(rounded);
    if (found_nan != rounded_nan || (!is_finite<F>(found) && is_finite<F>(rounded))) {
      return;
    }
    distance = found_nan ? 0 : ulp_distance<F>(found, rounded);
  }
  ++judged.ulp_histogram[ulp_bucket(distance)];
  judged.max_ulp = std::max(judged.max_ulp, distance);
}

/// |found − truth|; 0 where both are the same NaN or infinity; NaN where there is no such distance.
template <class F>
double error_of(typename F::Bits found, double value, typename F::Bits rounded, double truth) {
  if (std::isfinite(value) && std::isfinite(truth)) {
    return std::fabs(value - truth);
  }
  const bool same = found == rounded || (is_nan<F>(found) && is_nan<F>(rounded));
  return same ? 0.0 : std::numeric_limits<double>::quiet_NaN();
}

template <class F>
class FloatScan {
  using Bits = typename F::Bits;

 public:
  FloatScan(const TensorView& output, const Oracle& oracle, const ElementRule& rule)
      : output_(output), oracle_(oracle), rule_(rule), grid_(output.shape) {}

  void unit(std::int64_t index, OutputScan& result, Judgement& judged) const {
    ChunkTruth<Bits> chunk_truth;
    for (const Chunk& chunk : grid_.chunks(index)) {
      chunk_truth.load(output_, oracle_, chunk, rule_.exact);
      for (const TileRun& run : grid_.runs(chunk)) {
        scan_run(run, chunk_truth, run.begin - chunk.begin, result.tiles[run.tile], judged);
      }
    }
  }

 private:
  void scan_run(const TileRun& run, const ChunkTruth<Bits>& chunk, std::int64_t offset, TileErrors& tile,
                Judgement& judged) const {
    const Bits* found = output_.as<const Bits>() + run.begin;
    const bool judging = rule_.exact || rule_.tile_max;
    const double tile_limit = rule_.tile_max ? rule_.k * (*rule_.tile_max)[run.tile] : 0.0;
    for (std::int64_t i = 0; i < run.count; ++i) {
      const double truth = chunk.truth[offset + i], value = decode<F>(found[i]);
      const Bits rounded = encode<F>(truth);
      const Bits expected = rule_.exact ? chunk.expected[offset + i] : rounded;
      const double error = error_of<F>(found[i], value, rounded, truth);
      count_ulp<F>(judged, found[i], rounded);
      const double ulp = gather(tile, error, truth);
      const bool good = rule_.exact ? found[i] == expected || (is_nan<F>(found[i]) && is_nan<F>(expected))
                                    : error <= tile_limit + rule_.floor_ulp * ulp;
      if (judging && !good) {
        judged.nonfinite += !is_finite<F>(found[i]) && is_finite<F>(expected);
        note_bad(judged, run.begin + i, value, rule_.exact ? decode<F>(expected) : truth);
      }
    }
  }

  /// Adds one element's error to its tile; returns the spacing of the format at the truth.
  static double gather(TileErrors& tile, double error, double truth) {
    if (!std::isfinite(truth)) {
      return 0.0;
    }
    const double ulp = ulp_size<F>(truth);
    if (std::isfinite(error)) {
      ++tile.elements;
      tile.error_squares += error * error;
      tile.error_max = std::max(tile.error_max, error);
      tile.truth_squares += truth * truth;
      tile.ulp_squares += ulp * ulp;
    }
    return ulp;
  }

  const TensorView& output_;
  const Oracle& oracle_;
  const ElementRule& rule_;
  TileGrid grid_;
};

template <class Int>
class IntegerScan {
 public:
  IntegerScan(const TensorView& output, const Oracle& oracle, const ElementRule&)
      : output_(output), oracle_(oracle), grid_(output.shape) {}

  void unit(std::int64_t index, OutputScan&, Judgement& judged) const {
    std::vector<Int> expected;
    for (const Chunk& chunk : grid_.chunks(index)) {
      expected.resize(static_cast<std::size_t>(chunk.count));
      oracle_.exact(output_.name, chunk.begin, chunk.count, reinterpret_cast<std::byte*>(expected.data()));
      const Int* found = output_.as<const Int>() + chunk.begin;
      for (std::int64_t i = 0; i < chunk.count; ++i) {
        const std::int64_t distance = distance_of(found[i], expected[i]);
        ++judged.ulp_histogram[ulp_bucket(distance)];
        judged.max_ulp = std::max(judged.max_ulp, distance);
        if (distance != 0) {
          note_bad(judged, chunk.begin + i, static_cast<double>(found[i]), static_cast<double>(expected[i]));
        }
      }
    }
  }

 private:
  static std::int64_t distance_of(std::int64_t a, std::int64_t b) {
    const auto distance = a > b ? std::uint64_t(a) - std::uint64_t(b) : std::uint64_t(b) - std::uint64_t(a);
    return static_cast<std::int64_t>(
        std::min<std::uint64_t>(distance, std::numeric_limits<std::int64_t>::max()));
  }

  const TensorView& output_;
  const Oracle& oracle_;
  TileGrid grid_;
};

template <class Scan>
OutputScan scan_as(const TensorView& output, const Oracle& oracle, const ElementRule& rule) {
  const TileGrid grid(output.shape);
  const Scan scan(output, oracle, rule);
  OutputScan result;
  result.tiles.resize(static_cast<std::size_t>(grid.tiles()));
  std::vector<Judgement> judged(static_cast<std::size_t>(grid.units()));
  parallel_for(grid.units(), [&](std::int64_t unit) { scan.unit(unit, result, judged[unit]); });
  for (const Judgement& unit : judged) {
    result.judged.merge(unit);
  }
  return result;
}

void require_oracle(const TensorView& output, const Oracle& oracle, bool exact) {
  const bool integer = !is_floating(output.dtype);
  if (!integer && !oracle.truth) {
    throw std::invalid_argument("output '" + output.name +
                                "': expected Oracle::truth for a floating output, found none");
  }
  if ((integer || exact) && !oracle.exact) {
    throw std::invalid_argument("output '" + output.name + "': expected Oracle::exact (" +
                                (integer ? "integers are compared exactly" : "the parity rule is exact") +
                                "), found none; supply it in the suite's oracle");
  }
  if (output.device != DeviceKind::kCpu) {
    throw std::invalid_argument("output '" + output.name +
                                "': expected it on the CPU; copy the set there first");
  }
}

}  // namespace

void Judgement::merge(const Judgement& later) {
  mismatches += later.mismatches;
  nonfinite += later.nonfinite;
  max_ulp = std::max(max_ulp, later.max_ulp);
  if (later.first_bad >= 0 && (first_bad < 0 || later.first_bad < first_bad)) {
    first_bad = later.first_bad;
    first_bad_value = later.first_bad_value;
    first_bad_expected = later.first_bad_expected;
  }
  for (int i = 0; i < kUlpBuckets; ++i) {
    ulp_histogram[i] += later.ulp_histogram[i];
  }
}

OutputScan scan(const TensorView& output, const Oracle& oracle, const ElementRule& rule) {
  require_oracle(output, oracle, rule.exact);
  switch (output.dtype) {
    case Dtype::kFloat64:
      return scan_as<FloatScan<Float64Format>>(output, oracle, rule);
    case Dtype::kFloat32:
      return scan_as<FloatScan<Float32Format>>(output, oracle, rule);
    case Dtype::kFloat16:
      return scan_as<FloatScan<Float16Format>>(output, oracle, rule);
    case Dtype::kBfloat16:
      return scan_as<FloatScan<Bfloat16Format>>(output, oracle, rule);
    case Dtype::kInt64:
      return scan_as<IntegerScan<std::int64_t>>(output, oracle, rule);
    case Dtype::kInt32:
      return scan_as<IntegerScan<std::int32_t>>(output, oracle, rule);
    case Dtype::kInt8:
      return scan_as<IntegerScan<std::int8_t>>(output, oracle, rule);
    case Dtype::kUint8:
      return scan_as<IntegerScan<std::uint8_t>>(output, oracle, rule);
  }
  throw std::invalid_argument("output '" + output.name + "': unknown dtype");
}

}  // namespace assay::harness
