// SPDX-License-Identifier: Apache-2.0
// Part C has all its lines; what the check hf_llama found earns, loses or leaves each open, and records of
// single pieces earn nothing.
#include "suites/compile/rubric.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "harness/record/testing.hpp"
#include "harness/report/rubrics.hpp"
#include "suites/compile/torch_compile/check.hpp"

namespace assay::suites::compile {
namespace {

using harness::RecordFile;
using nlohmann::json;
using ::testing::HasSubstr;
using Status = harness::RubricLine::Status;

enum Line {
  kFlex,
  kNoDecode,
  kDecode,
  kAttention,
  kAttentionOften,
  kMlp,
  kMlpOften,
  kLoss,
  kNorms,
  kProducts,
  kProductsOften
};

json good() {
  json evidence{{"graph_breaks", 0},   {"graphs", 2},          {"recompilations_after_warm_up", 0},
                {"length_mixes", 200}, {"loss_matches", true}, {"programs_after_warm_up", 0}};
  for (const char* name :
       {"rms_norm", "add_rms_norm", "rope", "attention", "swiglu", "nf4_linear", "linear_cross_entropy"})
    evidence["operators"][std::string("assay.") + name] = 16;
  return evidence;
}

RecordFile file_with(const json& evidence, const std::string& outcome = "passed") {
  harness::Check check = harness::testing::check_with(kHfLlama, evidence.dump(), outcome);
  check.suite = "compile", check.challenge = kTorchCompile;
  RecordFile file;
  file.checks.push_back(check);
  return file;
}

harness::RubricLine::Decision decide(Line line, const RecordFile& file,
                                     const harness::CurrentSources& current = {}) {
  return rubric().lines[line].decide(file, current);
}

int total(const RecordFile& file) {
  int sum = 0;
  for (const auto& line : rubric().lines) sum += line.decide(file, {}).points;
  return sum;
}

TEST(CompileRubric, all_points_of_part_c_are_nine) {
  int possible = 0;
  for (const auto& line : rubric().lines) possible += std::max(line.points, 0);
  EXPECT_EQ(possible, 9);
}

TEST(CompileRubric, every_line_is_open_and_says_what_is_missing_whatever_pieces_passed) {
  RecordFile file;
  for (const char* piece : {"compile/rms_norm", "compile/rope", "compile/swiglu"}) {
    harness::Record record;
    record.suite = "compile", record.challenge = piece, record.implementation = "cuda_fused";
    record.device.kind = harness::DeviceKind::kCuda;
    record.outcome = harness::Passed{};
    file.records.push_back(record);
  }
  for (const auto& line : rubric().lines) {
    const auto decision = line.decide(file, {});
    EXPECT_EQ(decision.status, Status::kOpen) << line.text;
    EXPECT_EQ(decision.points, 0) << line.text;
    EXPECT_FALSE(decision.proof.empty()) << line.text;
  }
}

TEST(CompileRubric, a_good_check_on_a_gpu_earns_all_but_the_products) {
  EXPECT_EQ(total(file_with(good())), 7);
  for (const Line line : {kProducts, kProductsOften})
    EXPECT_EQ(decide(line, file_with(good())).status, Status::kOpen);
}

TEST(CompileRubric, too_many_graphs_a_break_or_a_late_compilation_costs_what_attention_and_mlp_are_worth) {
  for (const auto& [field, value] :
       {std::pair("graphs", 31), std::pair("graphs", 0), std::pair("graph_breaks", 1),
        std::pair("recompilations_after_warm_up", 1), std::pair("programs_after_warm_up", 1)}) {
    json evidence = good();
    evidence[field] = value;
    EXPECT_EQ(total(file_with(evidence)), 1 - 3 - 3) << field;
    EXPECT_THAT(decide(kAttention, file_with(evidence)).proof, HasSubstr("breaks")) << field;
  }
}

TEST(CompileRubric, an_operator_outside_a_graph_costs_its_lines) {
  const auto without = [](const char* name) {
    json evidence = good();
    evidence["operators"][name] = 0;
    return file_with(evidence);
  };
  EXPECT_EQ(decide(kNorms, without("assay.add_rms_norm")).points, -3);
  EXPECT_EQ(decide(kLoss, without("assay.linear_cross_entropy")).points, -1);
  EXPECT_EQ(decide(kNoDecode, without("assay.nf4_linear")).points, -2);
  EXPECT_EQ(decide(kDecode, without("assay.nf4_linear")).status, Status::kLost);
  EXPECT_EQ(decide(kMlpOften, without("assay.swiglu")).points, -3);
  EXPECT_EQ(decide(kFlex, without("assay.attention")).status, Status::kLost);
}

TEST(CompileRubric, another_loss_or_few_lengths_earn_no_flex_attention) {
  json evidence = good();
  evidence["loss_matches"] = false;
  EXPECT_EQ(decide(kFlex, file_with(evidence)).status, Status::kLost);
  EXPECT_EQ(decide(kLoss, file_with(evidence)).points, -1);
  evidence = good();
  evidence["length_mixes"] = 199;
  EXPECT_EQ(decide(kFlex, file_with(evidence)).status, Status::kOpen);
  evidence.erase("length_mixes");
  EXPECT_EQ(decide(kMlp, file_with(evidence)).status, Status::kOpen) << "what is not said is not shown";
}

TEST(CompileRubric, a_cpus_a_skipped_and_an_old_check_decide_nothing_and_a_failed_one_loses) {
  RecordFile cpu = file_with(good());
  cpu.checks.front().device = harness::testing::small_cpu();
  EXPECT_EQ(total(cpu), 0);
  EXPECT_THAT(decide(kFlex, cpu).proof, HasSubstr("CPU"));
  EXPECT_EQ(total(file_with(good(), "skipped")), 0);
  EXPECT_EQ(total(file_with(good(), "wrong")), -2 - 3 - 3 - 1 - 3);
  const harness::CurrentSources changed{{{kTorchCompile, kOperators}, "other"}};
  EXPECT_EQ(decide(kFlex, file_with(good()), changed).status, Status::kStale);
  cpu.checks.push_back(file_with(good()).checks.front());
  EXPECT_EQ(total(cpu), 7) << "a GPU's check goes before a CPU's";
}

TEST(CompileRubric, the_report_has_it) {
  const auto all = harness::rubrics();
  EXPECT_TRUE(std::any_of(all.begin(), all.end(), [](const auto& each) { return each.suite == "compile"; }));
}

}  // namespace
}  // namespace assay::suites::compile
