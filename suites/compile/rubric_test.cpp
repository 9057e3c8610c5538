// SPDX-License-Identifier: Apache-2.0
// Part C has all its lines: attention's records and check decide the first, what the check hf_llama found
// earns, loses or leaves each other open, and records of other single pieces earn nothing.
#include "suites/compile/rubric.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "harness/record/testing.hpp"
#include "harness/report/rubrics.hpp"
#include "suites/compile/attention/checks.hpp"
#include "suites/compile/rubric_evidence.hpp"
#include "suites/compile/torch_compile/check.hpp"
#include "suites/compile/training/checks.hpp"

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
  kMatmul,
  kMatmulOften
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

TEST(CompileRubric, a_good_check_on_a_gpu_earns_all_but_flex_attention_and_the_products) {
  EXPECT_EQ(total(file_with(good())), 4);
  for (const Line line : {kFlex, kMatmul, kMatmulOften})
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
  EXPECT_EQ(decide(kAttention, without("assay.attention")).status, Status::kLost);
}

TEST(CompileRubric, another_loss_is_lost_few_lengths_and_what_is_not_said_show_nothing) {
  json evidence = good();
  evidence["loss_matches"] = false;
  EXPECT_EQ(decide(kLoss, file_with(evidence)).points, -1);
  evidence = good();
  evidence["length_mixes"] = 199;
  for (const Line line : {kAttention, kAttentionOften, kMlp, kMlpOften})
    EXPECT_EQ(decide(line, file_with(evidence)).status, Status::kOpen);
  evidence.erase("length_mixes");
  EXPECT_EQ(decide(kMlp, file_with(evidence)).status, Status::kOpen);
}

TEST(CompileRubric, a_cpus_a_skipped_and_an_old_check_decide_nothing_and_a_failed_one_loses) {
  RecordFile cpu = file_with(good());
  cpu.checks.front().device = harness::testing::small_cpu();
  EXPECT_EQ(total(cpu), 0);
  EXPECT_THAT(decide(kMlp, cpu).proof, HasSubstr("CPU"));
  EXPECT_EQ(total(file_with(good(), "skipped")), 0);
  EXPECT_EQ(total(file_with(good(), "wrong")), -2 - 3 - 3 - 1 - 3);
  const harness::CurrentSources changed{{{kTorchCompile, kOperators}, "other"}};
  EXPECT_EQ(decide(kMlp, file_with(good()), changed).status, Status::kStale);
  cpu.checks.push_back(file_with(good()).checks.front());
  EXPECT_EQ(total(cpu), 4) << "a GPU's check goes before a CPU's";
}

json good_products() {
  return {{"products", {{{"product", "m=1"}}, {{"product", "m=2"}}}},
          {"algorithms_tried", 16},
          {"not_the_first", 1},
          {"length_mixes", 200},
          {"counters", {{"reasons", json::array()}}},
          {"counters_from_disk", {{"searches", 0}}}};
}
RecordFile products_file(const json& evidence, const std::string& outcome = "passed") {
  harness::Check check = harness::testing::check_with(kProducts, evidence.dump(), outcome);
  check.suite = "compile", check.challenge = kTrainingStep;
  RecordFile file;
  file.checks.push_back(check);
  return file;
}

TEST(CompileRubric, the_table_of_products_earns_two_points) {
  EXPECT_EQ(total(products_file(good_products())), 2);
  EXPECT_THAT(decide(kMatmul, products_file(good_products())).proof, HasSubstr("2 products, 16 algorithms"));
  EXPECT_EQ(decide(kMatmulOften, products_file(good_products())).points, 0);
}

TEST(CompileRubric, a_search_after_warm_up_or_despite_the_table_on_disk_costs_two_points) {
  json late = good_products();
  late["counters"]["reasons"].push_back("1 product searched for");
  json despite = good_products();
  despite["counters_from_disk"]["searches"] = 1;
  for (const json& evidence : {late, despite}) {
    EXPECT_EQ(decide(kMatmul, products_file(evidence)).points, 0);
    EXPECT_EQ(decide(kMatmulOften, products_file(evidence)).points, -2);
  }
  EXPECT_EQ(decide(kMatmulOften, products_file(good_products(), "wrong")).points, -2);
}

TEST(CompileRubric, a_table_without_a_choice_few_lengths_and_old_sources_show_nothing) {
  json few = good_products(), one = good_products(), silent = good_products();
  few["length_mixes"] = 199;
  one["algorithms_tried"] = 2;
  silent.erase("products");
  for (const json& evidence : {few, one, silent})
    EXPECT_EQ(decide(kMatmul, products_file(evidence)).status, Status::kOpen) << evidence;
  const harness::CurrentSources changed{{{kTrainingStep, kCapturedStep}, "other"}};
  EXPECT_EQ(decide(kMatmul, products_file(good_products()), changed).status, Status::kStale);
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
  const auto decision = decide(kFlex, file, kCurrent);
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
