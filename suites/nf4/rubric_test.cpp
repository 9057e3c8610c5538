// SPDX-License-Identifier: Apache-2.0
// Part A's points follow from records: each line earned, lost, open and stale, and the puzzle's total worked
// out by hand.
#include "suites/nf4/rubric.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/record/testing.hpp"

namespace assay::suites::nf4 {
namespace {

using namespace harness;
using ::testing::HasSubstr;
using Status = RubricLine::Status;

enum Line { kSingleKernel, kNotSlower, k105, k110, k115, kTorchCompile, kCustomAsm, kCacheEviction, kDtypes };

constexpr const char* kOptions[] = {"8192x2048/f16/seed3407", "4096x1024/bf16/seed3409",
                                    "14336x4096/bf16/seed3408"};

/// Eight pairs of `candidate` and `baseline` nanoseconds.
Timing timing(TimeMode mode, double candidate, double baseline,
              const std::string& name = "unsloth_sequence") {
  Timing result =
      harness::testing::timing(mode, {baseline / candidate, 0.99, 9.0, 0.95, 8}, candidate, baseline);
  result.baseline = name;
  result.candidate_samples_ns.assign(8, candidate);
  result.baseline_samples_ns.assign(8, baseline);
  return result;
}

Record record(const std::string& case_name, const std::string& implementation, std::vector<Timing> timings) {
  Record result = harness::testing::passed_record(implementation, case_name);
  result.suite = "nf4";
  result.challenge = "nf4/dequantize";
  Passed& passed = harness::testing::passed(result);
  passed.timings = std::move(timings);
  passed.parity = Parity{};
  return result;
}

Check check(const std::string& name, const std::string& evidence, const std::string& outcome = "passed") {
  Check result = harness::testing::check_with(name, evidence, outcome);
  result.suite = "nf4";
  result.challenge = "nf4/dequantize";
  return result;
}

/// Everything that an H100 run has to show, at `speedup` in both modes.
RecordFile full_marks(double speedup = 1.4) {
  RecordFile file;
  for (const char* option : kOptions) {
    file.records.push_back(record(
        option, "cuda_fused",
        {timing(TimeMode::kGraph, 1000, 1000 * speedup), timing(TimeMode::kWall, 2000, 2000 * speedup)}));
    file.records.push_back(record(option, "cuda_plain", {}));
  }
  const std::string effect = R"({"speedup_median":1.02,"ci_low":1.01,"ci_high":1.03})";
  file.checks = {
      check("single_kernel_launch", R"({"graph_kernel_nodes":1,"bytes_allocated":0})"),
      check("torch_compile", R"({"graph_breaks":0,"bit_equal":true,"dynamic_shapes":true})"),
      check(
          "static_code",
          R"({"sm_80":{"inline_ptx":true,"cache_hints":{"LDG.NA":4}},"sm_90a":{"inline_ptx":true,"cache_hints":{}}})"),
      check("ptx_effect", effect),
      check("cache_policy_effect", effect),
      check("sm75_ptx", R"({"mismatches":0})"),
      check("sm80_ptx", R"({"mismatches":0})")};
  return file;
}

RubricLine::Decision decide(Line line, const RecordFile& file, const CurrentSources& current = {}) {
  return rubric().lines.at(line).decide(file, current);
}

int total(const RecordFile& file, const CurrentSources& current = {}) {
  int points = 0;
  for (const RubricLine& line : rubric().lines) {
    points += line.decide(file, current).points;
  }
  return points;
}

void remove_check(RecordFile& file, const std::string& name) {
  std::erase_if(file.checks, [&](const Check& c) { return c.check == name; });
}

void replace_check(RecordFile& file, const Check& replacement) {
  remove_check(file, replacement.check);
  file.checks.push_back(replacement);
}

TEST(Rubric, full_evidence_earns_all_fourteen_points) {
  int possible = 0;
  for (const RubricLine& line : rubric().lines) {
    possible += std::max(line.points, 0);
    EXPECT_EQ(line.decide(full_marks(), {}).status, Status::kEarned)
        << line.text << ": " << line.decide(full_marks(), {}).proof;
  }
  EXPECT_EQ(possible, 14);
  EXPECT_EQ(total(full_marks()), 14);
}

TEST(Rubric, no_evidence_leaves_every_line_open_with_a_reason) {
  for (const RubricLine& line : rubric().lines) {
    const auto decision = line.decide({}, {});
    EXPECT_EQ(decision.status, Status::kOpen) << line.text;
    EXPECT_EQ(decision.points, 0);
    EXPECT_FALSE(decision.proof.empty()) << line.text;
  }
}

TEST(Rubric, records_of_a_cpu_earn_nothing) {
  RecordFile file = full_marks();
  for (Record& each : file.records) {
    each.device = harness::testing::small_cpu();
  }
  for (Check& each : file.checks) {
    each.device = harness::testing::small_cpu();
  }
  EXPECT_EQ(total(file), 0);
  EXPECT_THAT(decide(kTorchCompile, file).proof, HasSubstr("needs a GPU"));
}

TEST(Rubric, changed_sources_make_every_measured_line_stale) {
  const CurrentSources current = {{{"nf4/dequantize", "cuda_fused"}, "changed"}};
  for (const RubricLine& line : rubric().lines) {
    EXPECT_EQ(line.decide(full_marks(), current).status, Status::kStale) << line.text;
  }
  EXPECT_EQ(total(full_marks(), current), 0);
}

TEST(Rubric, a_second_kernel_or_an_allocation_loses_the_single_kernel) {
  RecordFile file = full_marks();
  replace_check(file, check("single_kernel_launch", R"({"graph_kernel_nodes":2,"bytes_allocated":0})"));
  EXPECT_EQ(decide(kSingleKernel, file).status, Status::kLost);
  EXPECT_EQ(decide(kSingleKernel, file).points, 0);
  replace_check(file, check("single_kernel_launch", R"({"graph_kernel_nodes":1,"bytes_allocated":16})"));
  EXPECT_EQ(decide(kSingleKernel, file).status, Status::kLost);
  replace_check(file, check("single_kernel_launch", R"({"graph_kernel_nodes":1})"));
  EXPECT_EQ(decide(kSingleKernel, file).status, Status::kOpen);
}

TEST(Rubric, speed_steps_are_earned_by_the_lower_bound) {
  const auto points = [](double speedup) {
    const RecordFile file = full_marks(speedup);
    return std::tuple(decide(kNotSlower, file).points, decide(k105, file).points, decide(k110, file).points,
                      decide(k115, file).points);
  };
  EXPECT_EQ(points(0.99), std::tuple(-3, 0, 0, 0));
  EXPECT_EQ(points(1.00), std::tuple(-3, 0, 0, 0));
  EXPECT_EQ(points(1.06), std::tuple(0, 1, 0, 0));
  EXPECT_EQ(points(1.11), std::tuple(0, 1, 2, 0));
  EXPECT_EQ(points(1.16), std::tuple(0, 1, 2, 2));
}

TEST(Rubric, the_worse_of_graph_and_wall_counts) {
  RecordFile file = full_marks();
  for (Record& each : file.records) {
    for (Timing& each_timing : harness::testing::passed(each).timings) {
      if (each_timing.mode == TimeMode::kWall) {
        each_timing.baseline_samples_ns.assign(8, 1.07 * each_timing.candidate_ns);
      }
    }
  }
  EXPECT_EQ(decide(k105, file).status, Status::kEarned);
  EXPECT_EQ(decide(k110, file).status, Status::kLost);
  EXPECT_THAT(decide(k110, file).proof, HasSubstr("wall counts"));
}

TEST(Rubric, torch_compile_that_breaks_costs_a_point) {
  RecordFile file = full_marks();
  replace_check(file, check("torch_compile", R"({"graph_breaks":1,"bit_equal":true,"dynamic_shapes":true})"));
  EXPECT_EQ(decide(kTorchCompile, file).points, -1);
  replace_check(file, check("torch_compile", "{}", "failed"));
  EXPECT_EQ(decide(kTorchCompile, file).points, -1);
  replace_check(file, check("torch_compile", "{}", "skipped"));
  EXPECT_EQ(decide(kTorchCompile, file).status, Status::kOpen);
}

TEST(Rubric, assembly_needs_the_mark_in_the_code_the_effect_and_the_twin) {
  RecordFile file = full_marks();
  remove_check(file, "ptx_effect");
  EXPECT_EQ(decide(kCustomAsm, file).status, Status::kOpen);
  file = full_marks();
  replace_check(file, check("static_code", R"({"sm_90a":{"inline_ptx":false}})"));
  EXPECT_EQ(decide(kCustomAsm, file).status, Status::kLost);
  replace_check(file, check("static_code", R"({"sm_90a":{"registers":32}})"));
  EXPECT_EQ(decide(kCustomAsm, file).status, Status::kOpen);
  file = full_marks();
  std::erase_if(file.records, [](const Record& r) { return r.implementation == "cuda_plain"; });
  EXPECT_EQ(decide(kCustomAsm, file).status, Status::kOpen);
  EXPECT_THAT(decide(kCustomAsm, file).proof, HasSubstr("cuda_plain"));
}

TEST(Rubric, static_code_may_be_read_without_a_gpu) {
  RecordFile file = full_marks();
  for (Check& each : file.checks) {
    if (each.check == "static_code") {
      each.device = harness::testing::small_cpu();
    }
  }
  EXPECT_EQ(decide(kCacheEviction, file).status, Status::kEarned);
}

TEST(Rubric, a_cache_policy_without_measured_effect_is_open) {
  RecordFile file = full_marks();
  replace_check(file, check("cache_policy_effect", R"({"speedup_median":1.01})"));
  EXPECT_EQ(decide(kCacheEviction, file).status, Status::kOpen);
}

TEST(Rubric, one_mismatch_in_a_dtype_or_code_path_costs_a_point) {
  RecordFile file = full_marks();
  harness::testing::passed(file.records[0]).parity.mismatches = 1;
  EXPECT_EQ(decide(kDtypes, file).points, -1);
  file = full_marks();
  replace_check(file, check("sm75_ptx", R"({"mismatches":3})"));
  EXPECT_EQ(decide(kDtypes, file).points, -1);
  file = full_marks();
  file.records[0].outcome = OutOfMemoryOutcome{"80 GiB"};
  EXPECT_EQ(decide(kDtypes, file).status, Status::kOpen) << "memory says nothing about exactness";
}

TEST(Rubric, another_gpu_than_sm90_leaves_the_sm90_path_open) {
  RecordFile file = full_marks();
  for (Record& each : file.records) {
    each.device.sm = 80;
  }
  EXPECT_EQ(decide(kDtypes, file).status, Status::kOpen);
}

TEST(PuzzleTotal, is_the_ratio_of_sums_over_options_pair_by_pair) {
  // Sums of a pair: 3 * (100 + 20 + 400) = 1560 ns of ours; theirs 3 * (150 + 50 + 500) = 2100 ns, except in
  // pair 0, where the third option takes 1000: 3600 ns. Ratios: 3600/1560, and seven times 2100/1560
  // = 1.34615…
  RecordFile file;
  file.records = {record(kOptions[0], "cuda_fused", {timing(TimeMode::kGraph, 100, 150)}),
                  record(kOptions[1], "cuda_fused", {timing(TimeMode::kGraph, 20, 50)}),
                  record(kOptions[2], "cuda_fused", {timing(TimeMode::kGraph, 400, 500)})};
  harness::testing::passed(file.records[2]).timings[0].baseline_samples_ns[0] = 1000;
  const PuzzleTotal total = puzzle_total(file, TimeMode::kGraph);
  ASSERT_TRUE(total.speedup) << total.reason;
  EXPECT_NEAR(total.speedup->median, 2100.0 / 1560.0, 1e-12);
  EXPECT_NEAR(total.speedup->ci_low, 2100.0 / 1560.0, 1e-12);
  // Eight pairs: the 95 % interval of the sign test is the smallest to the largest ratio, P = 1 - 2/2^8 =
  // 0.992.
  EXPECT_NEAR(total.speedup->ci_high, 3600.0 / 1560.0, 1e-12);
  EXPECT_EQ(total.speedup->pairs, 8);
  EXPECT_DOUBLE_EQ(total.candidate_ns, 1560);
  EXPECT_DOUBLE_EQ(total.baseline_ns, 2100);
}

TEST(PuzzleTotal, is_cut_to_the_shortest_option) {
  RecordFile file = full_marks();
  harness::testing::passed(file.records[2]).timings[0].candidate_samples_ns.resize(7);
  EXPECT_EQ(puzzle_total(file, TimeMode::kGraph).speedup->pairs, 7);
  harness::testing::passed(file.records[2]).timings[0].candidate_samples_ns.resize(5);
  const PuzzleTotal total = puzzle_total(file, TimeMode::kGraph);
  EXPECT_FALSE(total.speedup);
  EXPECT_THAT(total.reason, HasSubstr("5 pairs"));
}

TEST(PuzzleTotal, is_against_the_fastest_sequence) {
  RecordFile file = full_marks();
  harness::testing::passed(file.records[0])
      .timings.push_back(timing(TimeMode::kGraph, 1000, 1200, "unsloth_sequence_bitsandbytes"));
  const PuzzleTotal total = puzzle_total(file, TimeMode::kGraph);
  EXPECT_DOUBLE_EQ(total.baseline_ns, 3 * (1200 + 1400 + 1400));
  EXPECT_EQ(total.baselines, "unsloth_sequence, unsloth_sequence_bitsandbytes");
}

TEST(PuzzleTotal, says_which_option_is_missing) {
  RecordFile file = full_marks();
  std::erase_if(file.records, [](const Record& r) { return r.case_name == kOptions[1]; });
  EXPECT_THAT(puzzle_total(file, TimeMode::kGraph).reason, HasSubstr(kOptions[1]));
  file = full_marks();
  EXPECT_THAT(puzzle_total(file, TimeMode::kCold).reason, HasSubstr("not timed in mode cold"));
}

TEST(PuzzleTotal, ptx_built_for_another_gpu_does_not_count) {
  RecordFile file = full_marks();
  for (Record& each : file.records) {
    each.target_mode = "ptx_jit";
  }
  EXPECT_FALSE(puzzle_total(file, TimeMode::kGraph).speedup);
}

}  // namespace
}  // namespace assay::suites::nf4
