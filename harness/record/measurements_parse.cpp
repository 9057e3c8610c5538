// SPDX-License-Identifier: Apache-2.0
// Parity, times, memory and work out of a record line.
#include <tuple>

#include "harness/record/measurements.hpp"
#include "harness/record/record.hpp"

namespace assay::harness::record_detail {
namespace {

double number_or(const Field& parent, std::string_view name, double fallback) {
  return parent.find(name) ? parent.number_or_reason(name) : fallback;
}

/// Null without a reason is "unset"; null with one is a value that JSON cannot write.
std::optional<double> optional_number(const Field& parent, std::string_view name) {
  const bool unset = parent.at(name).json().is_null() && !parent.find(std::string(name) + "_reason");
  return unset ? std::nullopt : std::optional(parent.number_or_reason(name));
}

Interval interval_of(const Field& field) {
  Interval interval;
  interval.ci_low = field.at("ci_low").positive();
  interval.median = field.at("median").positive();
  interval.ci_high = field.at("ci_high").positive();
  interval.confidence = field.at("confidence").positive();
  interval.pairs = field.at("pairs").integer(1);
  if (!(interval.ci_low <= interval.median && interval.median <= interval.ci_high)) {
    field.reject("ci_low <= median <= ci_high");
  }
  if (!(interval.confidence < 1)) {
    field.at("confidence").reject("a number below 1");
  }
  return interval;
}

std::vector<double> samples_of(const Field& parent, std::string_view name) {
  std::vector<double> samples;
  if (const auto field = parent.find(name)) {
    for (const Field& sample : field->items()) {
      samples.push_back(static_cast<double>(sample.integer(1)));
    }
  }
  return samples;
}

Timing timing_of(const Field& field) {
  Timing timing;
  timing.mode = static_cast<TimeMode>(field.at("mode").choice({"graph", "cold", "wall"}));
  timing.baseline = field.at("baseline").text();
  timing.candidate_ns = field.at("candidate_ns").positive();
  if (!timing.baseline.empty()) {
    timing.baseline_ns = field.at("baseline_ns").positive();
    if (const Field speedup = field.at("speedup"); !speedup.json().is_null()) {
      timing.speedup = interval_of(speedup);
    }
  } else if (field.find_value("baseline_ns") || field.find_value("speedup")) {
    field.reject("a baseline's name beside baseline_ns and speedup");
  }
  if (const auto verdict = field.find("verdict")) {
    timing.verdict = static_cast<Verdict>(verdict->choice({"better", "worse", "not_resolved"}));
  }
  if (timing.verdict != Verdict::kNotResolved && !timing.speedup) {
    field.at("verdict").reject("\"not_resolved\" where there is no speedup");
  }
  if (const auto notes = field.find("notes")) {
    for (const Field& note : notes->items()) {
      timing.notes.push_back(note.text());
    }
  }
  timing.candidate_samples_ns = samples_of(field, "candidate_samples_ns");
  timing.baseline_samples_ns = samples_of(field, "baseline_samples_ns");
  return timing;
}

bool same_headline(const Timing& a, const Timing& b) {
  const auto interval = [](const Timing& timing) {
    const Interval i = timing.speedup.value_or(Interval{});
    return std::tuple(timing.speedup.has_value(), i.median, i.ci_low, i.ci_high, i.confidence, i.pairs);
  };
  return a.mode == b.mode && a.baseline == b.baseline && a.candidate_ns == b.candidate_ns &&
         a.baseline_ns == b.baseline_ns && a.verdict == b.verdict && interval(a) == interval(b) &&
         a.notes == b.notes;
}

}  // namespace

std::string text_or_empty(const Field& parent, std::string_view name) {
  const auto member = parent.find(name);
  return member ? member->text() : std::string();
}

std::int64_t integer_or(const Field& parent, std::string_view name, std::int64_t fallback,
                        std::int64_t least) {
  const auto member = parent.find(name);
  return member ? member->integer(least) : fallback;
}

Parity parity_of(const Field& field) {
  Parity parity;
  parity.oracle = field.at("oracle").text();
  parity.mismatches = field.at("mismatches").integer(0);
  parity.max_ulp = field.at("max_ulp").integer(0);
  parity.rel_err = field.number_or_reason("rel_err");
  parity.baseline_rel_err = optional_number(field, "baseline_rel_err");
  parity.limit = optional_number(field, "limit");
  parity.elements = integer_or(field, "elements", 0);
  parity.nonfinite = integer_or(field, "nonfinite", 0);
  parity.first_bad_index = integer_or(field, "first_bad_index", -1, -1);
  parity.first_bad_output = text_or_empty(field, "first_bad_output");
  parity.first_bad_value = number_or(field, "first_bad_value", 0);
  parity.first_bad_expected = number_or(field, "first_bad_expected", 0);
  if (const auto histogram = field.find("ulp_histogram")) {
    for (const Field& bucket : histogram->items()) {
      parity.ulp_histogram.push_back(bucket.integer(0));
    }
  }
  parity.max_abs_err = number_or(field, "max_abs_err", 0);
  parity.worst_tile_ratio = number_or(field, "worst_tile_ratio", 0);
  return parity;
}

std::vector<Timing> timings_of(const Field& line) {
  const auto times = line.find("times");
  const auto time = line.find("time");
  if (!time) {
    if (times) {
      times->reject("the headline \"time\" beside \"times\"");
    }
    return {};
  }
  const Timing headline = timing_of(*time);
  std::vector<Timing> timings;
  if (times) {
    for (const Field& entry : times->items()) {
      timings.push_back(timing_of(entry));
    }
    if (timings.empty() || !same_headline(timings.front(), headline)) {
      times->reject("the headline \"time\" as the first of \"times\"");
    }
  } else {
    timings.push_back(headline);
  }
  const auto verdict = line.find_value("verdict");
  if (verdict && (!headline.speedup || verdict->text() != verdict_name(headline.verdict))) {
    verdict->reject("the verdict of \"time\"");
  }
  return timings;
}

Memory memory_of(const Field& field) {
  Memory memory;
  memory.peak_bytes = field.at("peak_bytes").integer(0);
  if (const Field peak = field.at("baseline_peak_bytes"); !peak.json().is_null()) {
    memory.baseline_peak_bytes = peak.integer(0);
  }
  memory.tensors = field.at("tensors").integer();
  memory.reserved = field.at("reserved").integer();
  memory.graph_pool = field.at("graph_pool").integer();
  memory.outside_torch = field.at("outside_torch").integer();
  return memory;
}

WorkDone work_of(const Field& field) {
  return {.bytes = field.at("bytes").integer(0),
          .flops = field.at("flops").integer(0),
          .ceiling = field.at("ceiling").text(),
          .ceiling_value = field.at("ceiling_value").number(),
          .achieved = field.at("achieved").number(),
          .fraction = field.at("fraction").number()};
}

}  // namespace assay::harness::record_detail
