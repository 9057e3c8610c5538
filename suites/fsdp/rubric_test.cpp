// SPDX-License-Identifier: Apache-2.0
// Part B has all its lines: what ran on CPU ranks, on one GPU or without the 2×T4 example earns nothing.
#include "suites/fsdp/rubric.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "harness/record/testing.hpp"
#include "harness/report/rubrics.hpp"
#include "suites/fsdp/training/checks.hpp"

namespace assay::suites::fsdp {
namespace {

using harness::RecordFile;
using nlohmann::json;
using ::testing::HasSubstr;
using Status = harness::RubricLine::Status;

enum Line { kSharded, kKernel, kTorchAo, kPipelines, kFlat, kExample };

json good() {
  return {{"gpus", 2}, {"transport", "nccl"}, {"steps", 60}, {"matches", true}, {"captured", true}};
}
harness::Check check_of(const char* name, const json& evidence, const std::string& outcome = "passed") {
  harness::Check check = harness::testing::check_with(name, evidence.dump(), outcome);
  check.suite = "fsdp", check.challenge = kTraining;
  return check;
}
RecordFile file_of(const json& evidence, bool with_example = true) {
  RecordFile file;
  file.checks.push_back(check_of(kShardedLoss, evidence));
  if (with_example)
    file.checks.push_back(check_of(kT4Example, good()));
  return file;
}
harness::RubricLine::Decision decide(Line line, const RecordFile& file,
                                     const harness::CurrentSources& current = {}) {
  return rubric().lines[line].decide(file, current);
}

TEST(FsdpRubric, all_points_of_part_b_are_ten_and_the_report_has_it) {
  int possible = 0;
  for (const auto& line : rubric().lines) possible += std::max(line.points, 0);
  EXPECT_EQ(possible, 10);
  const auto all = harness::rubrics();
  EXPECT_TRUE(std::ranges::any_of(all, [](const auto& each) { return each.suite == "fsdp"; }));
}

TEST(FsdpRubric, every_line_is_open_and_says_what_is_missing_when_all_ran_on_cpu_ranks) {
  RecordFile cpu;
  for (const char* name : {kShardedLoss, kCollectives, kMemory, kResume, kSchedules, kBubble}) {
    json evidence = good();
    evidence["gpus"] = 0, evidence["transport"] = "socket";
    cpu.checks.push_back(check_of(name, evidence));
    cpu.checks.back().device = harness::testing::small_cpu();
  }
  for (const RecordFile& file : {RecordFile{}, cpu})
    for (const auto& line : rubric().lines) {
      const auto decision = line.decide(file, {});
      EXPECT_EQ(decision.status, Status::kOpen) << line.text;
      EXPECT_EQ(decision.points, 0) << line.text;
      EXPECT_FALSE(decision.proof.empty()) << line.text;
    }
  EXPECT_THAT(decide(kSharded, cpu).proof, HasSubstr("needs 2 GPUs: sharded_loss ran on CPU ranks only"));
  EXPECT_THAT(decide(kPipelines, cpu).proof, HasSubstr("stages that wait, which earns nothing"));
}

TEST(FsdpRubric, two_gpus_earn_five_captured_and_three_eager) {
  json eager = good();
  eager["captured"] = false;
  EXPECT_EQ(decide(kSharded, file_of(good())).points, 5);
  EXPECT_EQ(decide(kSharded, file_of(eager)).points, 3);
  EXPECT_EQ(decide(kExample, file_of(eager)).points, 2);
  EXPECT_EQ(decide(kKernel, file_of(eager)).status, Status::kOpen);
}

TEST(FsdpRubric, nothing_counts_without_the_example) {
  const auto decision = decide(kSharded, file_of(good(), false));
  EXPECT_EQ(decision.status, Status::kOpen);
  EXPECT_EQ(decision.points, 0);
  EXPECT_THAT(decision.proof, HasSubstr("2×T4 example"));
}

TEST(FsdpRubric, one_gpu_other_transports_few_steps_and_other_losses_earn_nothing) {
  for (const auto& [field, value] : {std::pair<const char*, json>("gpus", 1),
                                     {"transport", "socket"},
                                     {"steps", 59},
                                     {"matches", false}}) {
    json evidence = good();
    evidence[field] = value;
    EXPECT_EQ(decide(kSharded, file_of(evidence)).status, Status::kOpen) << field;
  }
}

TEST(FsdpRubric, a_wrong_check_loses_an_old_one_is_stale_and_a_skipped_one_says_why) {
  RecordFile file;
  file.checks.push_back(check_of(kShardedLoss, good(), "wrong"));
  EXPECT_EQ(decide(kSharded, file).status, Status::kLost);
  file.checks = {check_of(kShardedLoss, good(), "skipped")};
  EXPECT_THAT(decide(kSharded, file).proof, HasSubstr("was skipped: a reason"));
  const harness::CurrentSources changed{{{kTraining, kShardedStep}, "other"}};
  EXPECT_EQ(decide(kSharded, file_of(good()), changed).status, Status::kStale);
}

}  // namespace
}  // namespace assay::suites::fsdp
