// SPDX-License-Identifier: Apache-2.0
// A small board that tests of the page start from.
#pragma once

#include <string>

#include "harness/record/testing.hpp"
#include "harness/report/report.hpp"

namespace assay::harness::report {

inline RubricLine fixed(const std::string& text, int points, RubricLine::Status status, int counted) {
  return {text, points, [=](const RecordFile&, const CurrentSources&) {
            return RubricLine::Decision{status, counted, "because of " + text};
          }};
}

/// Earns its point from any GPU record.
inline RubricLine needs_gpu() {
  return {"needs a GPU", 2, [](const RecordFile& file, const CurrentSources&) {
            for (const Record& record : file.records) {
              if (record.device.kind == DeviceKind::kCuda) {
                return RubricLine::Decision{RubricLine::Status::kEarned, 2, record.device.name};
              }
            }
            return RubricLine::Decision{RubricLine::Status::kOpen, 0, "no record from a GPU"};
          }};
}

inline Rubric example_rubric() {
  return {
      "example",
      "Example part",
      {fixed("first", 3, RubricLine::Status::kEarned, 3), fixed("second", 2, RubricLine::Status::kLost, 0),
       fixed("third", -3, RubricLine::Status::kEarned, 0), fixed("fourth", 1, RubricLine::Status::kLost, -1),
       needs_gpu()}};
}

inline Record baseline_record() {
  Record record = testing::passed_record("plain");
  record.role = Role::kBaseline;
  testing::passed(record).timings = {testing::baseline_timing(1500)};
  return record;
}

inline Record on_cpu(Record record) {
  record.device = testing::small_cpu();
  record.target_arch = record.device.arch;
  record.target_mode = "cpu";
  return record;
}

inline RecordFile example_file() {
  return {
      {testing::passed_record(), baseline_record()},
      {testing::check_with(
           "ceilings", R"({"copy_gbps":3002.2,"matmul_bf16_tflops":790,"clocks":"1980 MHz, no throttling"})"),
       testing::check_with("noise",
                           R"({"trials":40,"fraction_resolved":0.025,"minimum_detectable_percent":0.41})")}};
}

}  // namespace assay::harness::report
