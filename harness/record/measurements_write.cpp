// SPDX-License-Identifier: Apache-2.0
// Parity, times, memory and work as JSON. What is not a measurement is refused here, before it can become a
// line.
#include <cmath>
#include <stdexcept>

#include "harness/record/measurements.hpp"
#include "harness/record/record.hpp"

namespace assay::harness {
namespace record_detail {
namespace {

/// Whole numbers without a fraction: 52160, not 52160.0. The sign of zero survives.
Json number(double value) {
  constexpr double kExact = 9007199254740992.0;  // 2^53
  const bool whole =
      std::trunc(value) == value && std::fabs(value) < kExact && !(value == 0 && std::signbit(value));
  return whole ? Json(static_cast<std::int64_t>(value)) : Json(value);
}

Json finite(double value, const char* name) {
  if (!std::isfinite(value)) {
    throw std::invalid_argument(std::string("expected a finite ") + name + ", found " +
                                std::to_string(value) + "; record what went wrong as outcome failed");
  }
  return number(value);
}

Json measured(double value, const char* name) {
  if (!(value > 0)) {
    throw std::invalid_argument(std::string("expected ") + name + " above 0, found " + std::to_string(value) +
                                "; 0 is never a measurement");
  }
  return finite(value, name);
}

/// Errors may be non-finite: that is a finding. JSON has no such number, so null and the reason beside it.
void put_number_or_reason(Json& object, const std::string& name, double value) {
  if (std::isfinite(value)) {
    object[name] = number(value);
    return;
  }
  object[name] = nullptr;
  object[name + "_reason"] = std::isnan(value) ? "nan" : value > 0 ? "inf" : "-inf";
}

void put_optional(Json& object, const std::string& name, const std::optional<double>& value) {
  if (value) {
    put_number_or_reason(object, name, *value);
  } else {
    object[name] = nullptr;
  }
}

Json samples(const std::vector<double>& values) {
  Json result = Json::array();
  for (const double value : values) {
    result.push_back(measured(std::round(value), "a sample in nanoseconds"));
  }
  return result;
}

Json speedup_json(const Timing& timing) {
  if (!timing.speedup) {
    return nullptr;
  }
  const Interval& speedup = *timing.speedup;
  if (timing.baseline.empty() || speedup.pairs < 1 || !(speedup.confidence < 1) ||
      !(speedup.ci_low <= speedup.median && speedup.median <= speedup.ci_high)) {
    throw std::invalid_argument(
        "expected a speedup over a named baseline, with pairs, confidence below 1 and its "
        "median inside its interval, found one of these amiss");
  }
  Json result;
  result["median"] = measured(speedup.median, "a median speedup");
  result["ci_low"] = measured(speedup.ci_low, "a lower bound");
  result["ci_high"] = measured(speedup.ci_high, "an upper bound");
  result["confidence"] = measured(speedup.confidence, "a confidence");
  result["pairs"] = speedup.pairs;
  return result;
}

}  // namespace

Json parity_json(const Parity& parity) {
  Json result;
  result["oracle"] = parity.oracle;
  result["mismatches"] = parity.mismatches;
  result["max_ulp"] = parity.max_ulp;
  put_number_or_reason(result, "rel_err", parity.rel_err);
  put_optional(result, "baseline_rel_err", parity.baseline_rel_err);
  put_optional(result, "limit", parity.limit);
  result["elements"] = parity.elements;
  result["nonfinite"] = parity.nonfinite;
  result["first_bad_index"] = parity.first_bad_index;
  result["first_bad_output"] = parity.first_bad_output;
  put_number_or_reason(result, "first_bad_value", parity.first_bad_value);
  put_number_or_reason(result, "first_bad_expected", parity.first_bad_expected);
  result["ulp_histogram"] = parity.ulp_histogram;
  put_number_or_reason(result, "max_abs_err", parity.max_abs_err);
  put_number_or_reason(result, "worst_tile_ratio", parity.worst_tile_ratio);
  return result;
}

Json time_json(const Timing& timing) {
  Json result;
  result["mode"] = mode_name(timing.mode);
  result["baseline"] = timing.baseline;
  result["candidate_ns"] = measured(timing.candidate_ns, "candidate_ns");
  result["baseline_ns"] = timing.baseline.empty() ? Json() : measured(timing.baseline_ns, "baseline_ns");
  result["speedup"] = speedup_json(timing);
  result["verdict"] = verdict_name(timing.speedup ? timing.verdict : Verdict::kNotResolved);
  result["notes"] = timing.notes;
  return result;
}

Json times_json(const std::vector<Timing>& timings) {
  Json result = Json::array();
  for (const Timing& timing : timings) {
    Json entry = time_json(timing);
    entry["candidate_samples_ns"] = samples(timing.candidate_samples_ns);
    entry["baseline_samples_ns"] = samples(timing.baseline_samples_ns);
    result.push_back(std::move(entry));
  }
  return result;
}

Json memory_json(const Memory& memory) {
  if (memory.peak_bytes < 0 || memory.baseline_peak_bytes.value_or(0) < 0) {
    throw std::invalid_argument("expected peaks of 0 bytes or more, found " +
                                std::to_string(memory.peak_bytes));
  }
  Json result;
  result["peak_bytes"] = memory.peak_bytes;
  result["baseline_peak_bytes"] = memory.baseline_peak_bytes ? Json(*memory.baseline_peak_bytes) : Json();
  result["tensors"] = memory.tensors;
  result["reserved"] = memory.reserved;
  result["graph_pool"] = memory.graph_pool;
  result["outside_torch"] = memory.outside_torch;
  return result;
}

Json work_json(const WorkDone& work) {
  Json result;
  result["bytes"] = work.bytes;
  result["flops"] = work.flops;
  result["ceiling"] = work.ceiling;
  result["ceiling_value"] = finite(work.ceiling_value, "ceiling_value");
  result["achieved"] = finite(work.achieved, "achieved");
  result["fraction"] = finite(work.fraction, "fraction");
  return result;
}

}  // namespace record_detail

std::string_view mode_name(TimeMode mode) {
  switch (mode) {
    case TimeMode::kGraph:
      return "graph";
    case TimeMode::kCold:
      return "cold";
    case TimeMode::kWall:
      return "wall";
  }
  throw std::invalid_argument("expected a known time mode, found " + std::to_string(static_cast<int>(mode)));
}

std::string_view verdict_name(Verdict verdict) {
  switch (verdict) {
    case Verdict::kBetter:
      return "better";
    case Verdict::kWorse:
      return "worse";
    case Verdict::kNotResolved:
      return "not_resolved";
  }
  throw std::invalid_argument("expected a known verdict, found " + std::to_string(static_cast<int>(verdict)));
}

}  // namespace assay::harness
