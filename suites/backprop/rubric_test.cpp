// SPDX-License-Identifier: Apache-2.0
// Every line of part E with its evidence present, missing, failed and from a CPU alone.
#include "suites/backprop/rubric.hpp"

#include <gtest/gtest.h>

#include <numeric>

#include "suites/backprop/rubric_evidence.hpp"

namespace assay::suites::backprop {
namespace {

using harness::Check;
using harness::CurrentSources;
using harness::Record;
using harness::RecordFile;

harness::DeviceInfo gpu() {
  harness::DeviceInfo device;
  device.kind = harness::DeviceKind::kCuda;
  device.name = "a GPU";
  return device;
}

Record record(const std::string& challenge, const std::string& case_name) {
  Record out;
  out.suite = "backprop", out.challenge = challenge, out.case_name = case_name, out.implementation = kOurs;
  out.device = gpu();
  out.provenance.sources_sha256 = "now";
  harness::Passed passed;
  passed.memory.emplace();
  passed.memory->peak_bytes = 500;
  passed.memory->baseline_peak_bytes = 1000;
  out.outcome = passed;
  return out;
}

Check check(const std::string& name, const std::string& evidence) {
  return {"backprop", kRubricChallenge,
          name,       "passed",
          "",         evidence,
          gpu(),      {.commit = "", .sources_sha256 = "now", .utc = "", .command = "", .seed = 0}};
}

RecordFile full_marks() {
  RecordFile file;
  for (const char* loss :
       {"cross_entropy", "token_logprob", "mse", "distillation", "grpo", "dpo", "orpo", "simpo", "kto"}) {
    file.records.push_back(record(std::string("backprop/") + loss, "n150/h40/v203/f16/dw"));
    file.records.push_back(record(std::string("backprop/") + loss, "n150/h40/v203/bf16/dw"));
  }
  file.records.push_back(record(kRubricChallenge, kMemoryCase));
  file.records.push_back(record("backprop/grpo", kGrpoCase));
  file.checks = {check("f32_upcast", R"({"upcast_in_every_chunk":true})"),
                 check("gradients_from_autograd", R"({"through_autograd":true})"),
                 check("dynamic_chunk_sizes", R"({"by_rows":true,"by_bytes":true,"by_free_memory":true})"),
                 check("llama_training", R"({"llama_1b":true,"loss_matches":true,"loss_fell":true})")};
  return file;
}

const CurrentSources kCurrent = {{{kRubricChallenge, kOurs}, "now"}};

std::vector<Decision> decide(const RecordFile& file) {
  std::vector<Decision> out;
  for (const auto& line : rubric().lines) out.push_back(line.decide(file, kCurrent));
  return out;
}

int total(const RecordFile& file) {
  int points = 0;
  for (const Decision& decision : decide(file)) points += decision.points;
  return points;
}

Check& named(RecordFile& file, const std::string& name) {
  for (Check& each : file.checks) {
    if (each.check == name)
      return each;
  }
  throw std::logic_error(name);
}

enum Line { kMemory, kUpcast, kCrossEntropyWorks, kOthers, kHardCoded, kChunks, kLlama, kGrpoWorks };

TEST(BackpropRubric, full_marks_are_ten) {
  EXPECT_EQ(total(full_marks()), 10);
  int possible = 0;
  for (const auto& line : rubric().lines) possible += std::max(line.points, 0);
  EXPECT_EQ(possible, 10);
}

TEST(BackpropRubric, nothing_is_earned_or_lost_without_evidence) {
  for (const Decision& decision : decide({})) {
    EXPECT_EQ(decision.status, Status::kOpen) << decision.proof;
    EXPECT_EQ(decision.points, 0);
  }
}

TEST(BackpropRubric, a_failed_condition_voids_what_was_earned_before_it) {
  RecordFile no_upcast = full_marks();
  named(no_upcast, "f32_upcast").outcome = "wrong";
  EXPECT_EQ(total(no_upcast), 8);
  RecordFile hard_coded = full_marks();
  named(hard_coded, "gradients_from_autograd").outcome = "wrong";
  EXPECT_EQ(total(hard_coded), 6);
  RecordFile no_match = full_marks();
  named(no_match, "llama_training").outcome = "wrong";
  EXPECT_EQ(total(no_match), 4);
  EXPECT_EQ(decide(no_match)[kLlama].status, Status::kLost);
}

TEST(BackpropRubric, half_the_memory_and_not_a_byte_more) {
  RecordFile file = full_marks();
  for (Record& each : file.records) std::get<harness::Passed>(each.outcome).memory->peak_bytes = 501;
  EXPECT_EQ(decide(file)[kMemory].status, Status::kLost);
  EXPECT_EQ(decide(file)[kMemory].points, 0);
}

TEST(BackpropRubric, one_wrong_case_loses_its_line) {
  RecordFile file = full_marks();
  file.records[0].outcome = harness::Wrong{"parity", "far off", {}};
  EXPECT_EQ(decide(file)[kCrossEntropyWorks].status, Status::kLost);
  file = full_marks();
  file.records[2].outcome = harness::Wrong{"parity", "far off", {}};
  EXPECT_EQ(decide(file)[kOthers].status, Status::kLost);
  file = full_marks();
  file.records.back().outcome = harness::Wrong{"parity", "far off", {}};
  EXPECT_EQ(decide(file)[kGrpoWorks].status, Status::kLost);
}

TEST(BackpropRubric, evidence_from_a_cpu_or_of_older_sources_counts_for_nothing) {
  RecordFile on_cpu = full_marks();
  for (Record& each : on_cpu.records) each.device.kind = harness::DeviceKind::kCpu;
  for (Check& each : on_cpu.checks) each.device.kind = harness::DeviceKind::kCpu;
  for (const Decision& decision : decide(on_cpu)) EXPECT_EQ(decision.status, Status::kOpen) << decision.proof;
  RecordFile old = full_marks();
  for (Check& each : old.checks) each.provenance.sources_sha256 = "then";
  for (Record& each : old.records) {
    if (each.challenge == kRubricChallenge)
      each.provenance.sources_sha256 = "then";
  }
  for (const Line line : {kMemory, kUpcast, kCrossEntropyWorks, kHardCoded, kChunks, kLlama})
    EXPECT_EQ(decide(old)[line].status, Status::kStale) << line;
  EXPECT_EQ(total(old), 5);
}

}  // namespace
}  // namespace assay::suites::backprop
