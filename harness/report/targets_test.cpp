// SPDX-License-Identifier: Apache-2.0
// Targets, and the way from a rubric's line to its record.
#include "harness/report/targets.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/record/testing.hpp"
#include "harness/report/proof_link.hpp"

namespace assay::harness::report {
namespace {

using ::testing::ElementsAre;

TEST(TargetRuns, count_candidates_by_target_and_mode) {
  Record other = testing::passed_record("other");
  Record jit = testing::passed_record();
  jit.target_arch = "sm_75";
  jit.target_mode = "ptx_jit";
  Record wrong = testing::record_with(Wrong{"parity", "3 differ", Parity{}});
  wrong.case_name = "9x9/bf16";
  Record skipped = testing::record_with(Skipped{"no weights"});
  skipped.case_name = "7x7/bf16";
  const Board board = make_board({{testing::passed_record(), other, jit, wrong, skipped}, {}}, {}, {});
  const auto runs = target_runs(board.devices.at(0));
  ASSERT_EQ(runs.size(), 2u);
  EXPECT_EQ(runs[0].arch, "sm_75");
  EXPECT_EQ(runs[0].mode, "ptx_jit");
  EXPECT_EQ(runs[1].passed, 2u);
  EXPECT_EQ(runs[1].not_passed, 1u);
  EXPECT_EQ(runs[1].timed, 2u);
  EXPECT_THAT(runs[1].implementations, ElementsAre("fused", "other"));
}

TEST(TargetCode, is_read_from_evidence_that_names_targets) {
  const Board board =
      make_board({{},
                  {testing::check_with("static_code",
                                       R"({"sm_90a":{"registers":32,"spill_bytes":0,"store_bytes":16,
                                "cache_hints":{"LDG.NA":72}},"inline_ptx":true})"),
                   testing::check_with("noise", R"({"trials":40})")}},
                 {}, {});
  const auto code = target_code(board.devices.at(0));
  ASSERT_EQ(code.size(), 1u);
  EXPECT_EQ(code[0].arch, "sm_90a");
  EXPECT_EQ(code[0].registers, "32");
  EXPECT_EQ(code[0].store, "16 B");
  EXPECT_EQ(code[0].hints, "LDG.NA 72");
  EXPECT_EQ(code[0].load, "–");
}

class ProofLink : public ::testing::Test {
 protected:
  std::string anchor(const std::string& proof, const std::string& evidence = "") const {
    const RubricLine line{"a line", 1, nullptr, evidence};
    return proof_anchor(board_,
                        {.suite = "example", .title = "", .device = testing::hopper().name, .lines = {}},
                        line, {RubricLine::Status::kEarned, 1, proof});
  }
  Board board_ =
      make_board({{testing::passed_record()}, {testing::check_with("single_launch", "{}")}}, {}, {});
};

TEST_F(ProofLink, leads_to_the_check_or_case_that_the_proof_names) {
  EXPECT_EQ(anchor("single_launch: 1 node"), "NVIDIA-H100-80GB-HBM3-sm-90-example-copy-checks-single-launch");
  EXPECT_EQ(anchor("example/copy/64x64/bf16/seed1 passed"), "NVIDIA-H100-80GB-HBM3-sm-90-example-copy");
}

TEST_F(ProofLink, part_of_a_word_is_not_a_name) {
  EXPECT_EQ(anchor("no_single_launch_here"), "");
}

TEST_F(ProofLink, what_the_line_says_counts_before_words) {
  EXPECT_EQ(anchor("single_launch", "example/copy"), "NVIDIA-H100-80GB-HBM3-sm-90-example-copy");
  EXPECT_EQ(anchor("no words", "example/copy/checks/single_launch"),
            "NVIDIA-H100-80GB-HBM3-sm-90-example-copy-checks-single-launch");
}

}  // namespace
}  // namespace assay::harness::report
