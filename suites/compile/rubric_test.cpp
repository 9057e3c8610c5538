// SPDX-License-Identifier: Apache-2.0
// Part C has all its lines, and none is earned or lost by records of single pieces.
#include "suites/compile/rubric.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "harness/report/rubrics.hpp"

namespace assay::suites::compile {
namespace {

TEST(CompileRubric, all_points_of_part_c_are_nine) {
  int possible = 0;
  for (const auto& line : rubric().lines) possible += std::max(line.points, 0);
  EXPECT_EQ(possible, 9);
}

TEST(CompileRubric, every_line_is_open_and_says_what_is_missing_whatever_pieces_passed) {
  harness::RecordFile file;
  for (const char* piece : {"compile/rms_norm", "compile/rope", "compile/swiglu"}) {
    harness::Record record;
    record.suite = "compile", record.challenge = piece, record.implementation = "cuda_fused";
    record.device.kind = harness::DeviceKind::kCuda;
    record.outcome = harness::Passed{};
    file.records.push_back(record);
  }
  for (const auto& line : rubric().lines) {
    const auto decision = line.decide(file, {});
    EXPECT_EQ(decision.status, harness::RubricLine::Status::kOpen) << line.text;
    EXPECT_EQ(decision.points, 0) << line.text;
    EXPECT_FALSE(decision.proof.empty()) << line.text;
  }
}

TEST(CompileRubric, the_report_has_it) {
  const auto all = harness::rubrics();
  EXPECT_TRUE(std::any_of(all.begin(), all.end(), [](const auto& each) { return each.suite == "compile"; }));
}

}  // namespace
}  // namespace assay::suites::compile
