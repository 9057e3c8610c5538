// SPDX-License-Identifier: Apache-2.0
// The page is computed: points, statuses, tables and marks follow from records.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/record/testing.hpp"
#include "harness/report/board.hpp"
#include "harness/report/example_board.hpp"
#include "harness/report/report.hpp"

namespace assay::harness {
namespace {

using report::baseline_record;
using report::example_file;
using report::example_rubric;
using report::on_cpu;
using testing::check_with;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::passed;
using testing::passed_record;
using testing::record_with;

std::string markdown(const RecordFile& file, const CurrentSources& current = {}) {
  return scoreboard_markdown(file, {example_rubric()}, current);
}

TEST(Board, totals_are_sums_of_decided_points) {
  const Rubric rubric = example_rubric();
  const report::Board board = report::make_board(example_file(), {rubric}, {});
  ASSERT_EQ(board.rubrics.size(), 1u);
  EXPECT_EQ(board.rubrics[0].total, 3 + 0 + 0 - 1 + 2);
  EXPECT_EQ(board.rubrics[0].possible, 3 + 2 + 1 + 2);
}

TEST(Board, each_gpu_has_its_own_rubric_and_shares_what_cpus_showed) {
  RecordFile file = example_file();
  file.records.push_back(on_cpu(passed_record("cpu_path")));
  file.records.push_back(passed_record());
  file.records.back().device.name = "NVIDIA A100";
  std::vector<std::size_t> seen;
  const std::vector<Rubric> rubrics = {
      {"example", "Example part", {{"counts", 1, [&](const RecordFile& evidence, const CurrentSources&) {
                                      seen.push_back(evidence.records.size());
                                      return RubricLine::Decision{};
                                    }}}}};
  const report::Board board = report::make_board(file, rubrics, {});
  ASSERT_EQ(board.rubrics.size(), 2u);
  EXPECT_EQ(board.rubrics[0].device, "NVIDIA H100 80GB HBM3");
  EXPECT_EQ(board.rubrics[1].device, "NVIDIA A100");
  EXPECT_THAT(seen, ElementsAre(3, 2));
}

TEST(Board, gpus_come_before_cpus) {
  const report::Board board = report::make_board({{on_cpu(passed_record()), passed_record()}, {}}, {}, {});
  ASSERT_EQ(board.devices.size(), 2u);
  EXPECT_EQ(board.devices[0].device.kind, DeviceKind::kCuda);
}

TEST(Board, candidates_come_before_peers_before_baselines) {
  Record peer = passed_record("a_peer");
  peer.role = Role::kPeer;
  const report::Board board =
      report::make_board({{baseline_record(), peer, passed_record("zz_ours")}, {}}, {}, {});
  EXPECT_THAT(report::timed_implementations(board.devices.at(0).challenges.at(0)),
              ElementsAre("zz_ours", "a_peer", "plain"));
}

TEST(Markdown, shows_points_status_and_proof_of_every_line) {
  const std::string page = markdown(example_file());
  EXPECT_THAT(page, HasSubstr("**example: 4 of 8 points** on NVIDIA H100 80GB HBM3"));
  EXPECT_THAT(page, HasSubstr("| first | +3 | 3 | earned | because of first |"));
  EXPECT_THAT(page, HasSubstr("| third | -3 | 0 | avoided | because of third |"));
  EXPECT_THAT(page, HasSubstr("| fourth | +1 | -1 | lost | because of fourth |"));
}

TEST(Markdown, shows_a_case_with_everything_that_was_measured) {
  EXPECT_THAT(
      markdown(example_file()),
      HasSubstr(
          "| 64x64/bf16/seed1 | fused | 1.50x \\[1.45, 1.55] | better | plain | 1.00 µs graph | wall 1.20x "
          "\\[1.15, 1.25] | 1.00 KiB; 0.25x of 4.00 KiB | 0 of 4\u202f096 differ; 1 ulp; error 1.10e-03 "
          "of "
          "1.30e-03 allowed | 96.7 % of copy rate |"));
}

TEST(Markdown, environment_strip_holds_machine_ceilings_noise_and_clocks) {
  const std::string page = markdown(example_file());
  for (const char* row : {"| Driver | 580.159.04 |", "| CUDA | 13.0 |", "| torch | 2.11.0 |",
                          "copy 3002 GB/s, bf16 matmul 790", "| A/A noise | 1 of 40 same-against-same",
                          "| Smallest effect resolved | 0.41 % |", "| Clocks | 1980 MHz, no throttling |",
                          "| Commit | 0123abcd |", "| Peers | fused 1.2, plain 1.2 |"}) {
    EXPECT_THAT(page, HasSubstr(row));
  }
}

TEST(Markdown, notes_of_many_timings_are_one_short_row) {
  RecordFile file = example_file();
  passed(file.records[0]).timings[0].notes = {"SM clock moved between 1305 and 1950 MHz during timing"};
  passed(file.records[0]).timings[1].notes = {"SM clock moved between 1755 and 1980 MHz during timing"};
  EXPECT_THAT(markdown(file), HasSubstr("| Notes on timings | 2 of 3 timings, mostly: SM clock moved between "
                                        "1305–1755 and 1950–1980 MHz during timing |"));
}

TEST(Markdown, says_a_word_a_challenge) {
  EXPECT_THAT(markdown(example_file()),
              HasSubstr("| example/copy | NVIDIA H100 80GB HBM3 | better | 1.50x in 1 "
                        "case | – | 0.25x | 1 passed |"));
  EXPECT_THAT(markdown({}), Not(HasSubstr("Verdicts")));
}

TEST(Markdown, side_by_side_marks_the_fastest) {
  EXPECT_THAT(markdown(example_file()), HasSubstr("| 64x64/bf16/seed1 | **1.00 µs** | 1.50 µs |"));
}

TEST(Markdown, failures_stand_before_the_cases_with_a_command) {
  RecordFile file = example_file();
  file.records.push_back(record_with(Wrong{"parity", "3 of 4096 differ", Parity{}}));
  file.records.back().implementation = "broken";
  file.checks.push_back(check_with("single_launch", "{}", "wrong"));
  const std::string page = markdown(file);
  EXPECT_THAT(
      page,
      HasSubstr(
          "- **wrong** `example/copy/64x64/bf16/seed1/broken`: parity: 3 of 4096 differ (again: `assay run "
          "'example/copy/64x64/bf16/seed1/broken'`)"));
  EXPECT_THAT(page, HasSubstr("- **wrong** check `single_launch`"));
  EXPECT_LT(page.find("What did not pass"), page.find("### example/copy"));
}

TEST(Markdown, nothing_failed_means_no_list_of_failures) {
  EXPECT_THAT(markdown(example_file()), Not(HasSubstr("did not pass")));
}

TEST(Markdown, skips_are_grouped_by_reason) {
  RecordFile file = example_file();
  for (const char* name : {"a/f16", "b/f16"}) {
    Record record = record_with(Skipped{"needs sm_100"});
    record.case_name = name;
    record.implementation = "later";
    file.records.push_back(record);
  }
  EXPECT_THAT(markdown(file), HasSubstr("- `later` example/copy in 2 cases: needs sm_100"));
}

TEST(Markdown, changed_sources_mark_a_row_stale) {
  EXPECT_THAT(markdown(example_file(), {{{"example/copy", "fused"}, "newer"}}),
              HasSubstr("| better, stale |"));
  EXPECT_THAT(markdown(example_file(), {{{"example/copy", "fused"}, "aa11"}}), Not(HasSubstr("stale")));
}

TEST(Markdown, code_that_ran_from_ptx_is_a_row_of_its_own) {
  RecordFile file = example_file();
  file.records.push_back(passed_record());
  file.records.back().target_mode = "ptx_jit";
  file.records.back().target_arch = "sm_75";
  EXPECT_THAT(markdown(file), HasSubstr("| fused (ptx_jit of sm_75) |"));
}

TEST(Markdown, a_machine_without_gpu_leaves_lines_open) {
  const std::string page = markdown({{on_cpu(passed_record())}, {}});
  EXPECT_THAT(page, HasSubstr("| needs a GPU | +2 | 0 | open | no record from a GPU |"));
  EXPECT_THAT(page, HasSubstr("points** on Example CPU"));
}

TEST(Markdown, a_suite_of_checks_alone_names_the_device_they_ran_on) {
  Check check = check_with("a_defect", "{}");
  check.suite = "example", check.device = testing::small_cpu();
  EXPECT_THAT(markdown({{}, {check}}), HasSubstr("points** on Example CPU"));
}

TEST(Markdown, no_records_give_an_honest_page) {
  const std::string page = markdown({});
  EXPECT_THAT(page, HasSubstr("on no device"));
  EXPECT_THAT(page, HasSubstr("No device has a record here."));
}

TEST(Markdown, is_the_same_for_the_same_records) {
  EXPECT_EQ(markdown(example_file()), markdown(example_file()));
}

}  // namespace
}  // namespace assay::harness
