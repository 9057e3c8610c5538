// SPDX-License-Identifier: Apache-2.0
// How part D counts, with hand-made records.
#include "suites/conformance/rubric.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "suites/conformance/defect.hpp"
#include "suites/conformance/text.hpp"

namespace assay::suites::conformance {
namespace {

using harness::Check;
using harness::RecordFile;
using Status = harness::RubricLine::Status;
using ::testing::HasSubstr;

Check row(int number, const std::string& evidence = R"({"path":"p","ours":"passed","mutant":"rejected"})") {
  Check out;
  out.suite = "conformance", out.challenge = kChallenge, out.check = text("project-", number);
  out.outcome = "passed", out.evidence_json = evidence;
  out.provenance.sources_sha256 = "now", out.provenance.utc = "2026-11-25T12:00:00Z";
  return out;
}

RecordFile rows(int count) {
  RecordFile file;
  for (int i = 0; i < count; ++i) file.checks.push_back(row(i));
  return file;
}

harness::RubricLine::Decision decide(const RecordFile& file) {
  return rubric().lines.front().decide(file, {{{kChallenge, "p"}, "now"}});
}

TEST(ConformanceRubric, one_point_for_two_defects_from_twenty_on_and_twelve_at_most) {
  EXPECT_EQ(rubric().lines.size(), 1u);
  EXPECT_EQ(decide(rows(19)).status, Status::kOpen);
  EXPECT_EQ(decide(rows(19)).points, 0);
  for (const auto& [count, points] : {std::pair{20, 10}, {21, 10}, {23, 11}, {24, 12}, {40, 12}}) {
    EXPECT_EQ(decide(rows(count)).status, Status::kEarned) << count;
    EXPECT_EQ(decide(rows(count)).points, points) << count;
  }
  EXPECT_THAT(decide(rows(23)).proof, HasSubstr("23 defects"));
  EXPECT_EQ(decide({}).status, Status::kOpen);
}

TEST(ConformanceRubric, only_rows_that_passed_with_their_mutant_rejected_count) {
  for (const char* evidence : {"{}", R"({"path":"p","ours":"passed"})", R"({"path":"p","mutant":"rejected"})",
                               R"({"path":"p","ours":"passed","mutant":"accepted"})"}) {
    RecordFile file = rows(22);
    file.checks[5] = row(5, evidence);
    EXPECT_EQ(decide(file).points, 10) << evidence;
    EXPECT_THAT(decide(file).proof, HasSubstr("not shown: project-5"));
  }
  RecordFile file = rows(22);
  file.checks[5].outcome = "wrong";
  EXPECT_EQ(decide(file).points, 10);
  file = rows(20);
  file.checks[5].outcome = "wrong";
  EXPECT_EQ(decide(file).status, Status::kLost);
  EXPECT_EQ(decide(file).points, 0);
}

TEST(ConformanceRubric, skipped_rows_neither_count_nor_hide_what_another_device_showed) {
  RecordFile file = rows(20);
  Check skipped = row(3);
  skipped.outcome = "skipped", skipped.provenance.utc = "2026-11-26T12:00:00Z";
  file.checks.push_back(skipped);
  EXPECT_EQ(decide(file).points, 10);
  file.checks.erase(file.checks.begin() + 3);
  EXPECT_EQ(decide(file).status, Status::kOpen) << "19 rows and a skipped one";
}

TEST(ConformanceRubric, a_newer_row_replaces_an_older_one_and_is_not_counted_twice) {
  RecordFile file = rows(20);
  Check newer = row(3);
  newer.outcome = "wrong", newer.provenance.utc = "2026-11-26T12:00:00Z";
  file.checks.push_back(newer);
  EXPECT_EQ(decide(file).status, Status::kLost);
  file.checks.back() = row(3);
  EXPECT_EQ(decide(file).points, 10);
}

TEST(ConformanceRubric, rows_of_older_sources_or_of_a_path_that_is_gone_are_stale) {
  RecordFile file = rows(24);
  file.checks[0].provenance.sources_sha256 = "then";
  EXPECT_EQ(decide(file).points, 11);
  EXPECT_THAT(decide(file).proof, HasSubstr("1 with older sources"));
  for (Check& check : file.checks) check.provenance.sources_sha256 = "then";
  EXPECT_EQ(decide(file).status, Status::kStale);
  EXPECT_EQ(decide(file).points, 0);
  for (int i = 0; i < 24; ++i)
    file.checks[i] = row(i, R"({"path":"gone","ours":"passed","mutant":"rejected"})");
  EXPECT_EQ(decide(file).status, Status::kStale);
}

TEST(ConformanceRubric, other_challenges_do_not_count) {
  RecordFile file = rows(24);
  for (Check& check : file.checks) check.challenge = "nf4/dequantize";
  EXPECT_EQ(decide(file).status, Status::kOpen);
}

}  // namespace
}  // namespace assay::suites::conformance
