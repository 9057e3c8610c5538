// SPDX-License-Identifier: Apache-2.0
// Part C has all its lines; the first is decided by attention's records and check, and none of the others is
// earned or lost by records of single pieces.
#include "suites/compile/rubric.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "harness/report/rubrics.hpp"
#include "suites/compile/attention/checks.hpp"
#include "suites/compile/rubric_evidence.hpp"

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

/// Records and check that earn the first line.
harness::RecordFile proof() {
  harness::RecordFile file;
  for (const char* name : {"causal/s4096/h32kv8d128/bf16/fwd", "causal/s4096/h32kv8d128/bf16/bwd",
                           "causal/s4096/h32kv8d128/f16/fwd", "causal/s4096/h32kv8d128/f16/bwd"}) {
    harness::Record record;
    record.suite = "compile", record.challenge = kAttentionChallenge, record.case_name = name;
    record.implementation = kAttentionKernels;
    record.device.kind = harness::DeviceKind::kCuda;
    record.outcome = harness::Passed{};
    record.provenance.sources_sha256 = "ours";
    file.records.push_back(record);
  }
  harness::Check check;
  check.suite = "compile", check.challenge = kAttentionChallenge, check.check = kLengthsCheck;
  check.outcome = "passed";
  check.device.kind = harness::DeviceKind::kCuda;
  check.evidence_json = R"({"length_mixes":210,"recompilations":0,"dynamic_lengths":true})";
  check.provenance.sources_sha256 = "ours";
  file.checks.push_back(check);
  return file;
}
const harness::CurrentSources kCurrent = {{{kAttentionChallenge, kAttentionKernels}, "ours"}};

void expect_first_line(const harness::RecordFile& file, harness::RubricLine::Status status, int points) {
  const auto decision = rubric().lines.front().decide(file, kCurrent);
  EXPECT_EQ(decision.status, status) << decision.proof;
  EXPECT_EQ(decision.points, points) << decision.proof;
}

TEST(CompileRubric, attention_earns_its_line_by_records_and_the_check_of_lengths) {
  expect_first_line(proof(), Status::kEarned, 3);
  harness::RecordFile fixed = proof();
  fixed.checks.clear();
  expect_first_line(fixed, Status::kEarned, 1);
  harness::RecordFile of_cpu = proof();
  of_cpu.checks.front().device.kind = harness::DeviceKind::kCpu;
  expect_first_line(of_cpu, Status::kEarned, 1);
}

TEST(CompileRubric, attention_earns_nothing_by_less) {
  harness::RecordFile file = proof();
  file.records.pop_back();  // no f16 backward
  expect_first_line(file, Status::kOpen, 0);
  file = proof();
  file.records.front().outcome = harness::Wrong{};
  expect_first_line(file, Status::kLost, 0);
  file = proof();
  file.checks.front().outcome = "failed";
  expect_first_line(file, Status::kLost, 0);
  file = proof();
  file.checks.front().evidence_json = "{}";
  expect_first_line(file, Status::kLost, 0);
  file = proof();
  file.records.front().provenance.sources_sha256 = "older";
  expect_first_line(file, Status::kStale, 0);
  file = proof();
  file.checks.front().provenance.sources_sha256 = "older";
  expect_first_line(file, Status::kStale, 0);
  file = proof();
  for (harness::Record& record : file.records) record.implementation = "triton_flex";
  expect_first_line(file, Status::kOpen, 0);
}

TEST(CompileRubric, the_report_has_it) {
  const auto all = harness::rubrics();
  EXPECT_TRUE(std::any_of(all.begin(), all.end(), [](const auto& each) { return each.suite == "compile"; }));
}

}  // namespace
}  // namespace assay::suites::compile
