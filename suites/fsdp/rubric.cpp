// SPDX-License-Identifier: Apache-2.0
// Part B of the public challenge: ten points. Only checks that ran on two GPUs count; what ran on CPU ranks
// alone earns nothing, and no point counts without the 2×T4 example. Pipelines and flat parameters would
// count instead of the first line, so they add no points of their own.
#include "suites/fsdp/rubric.hpp"

#include <nlohmann/json.hpp>

#include "harness/report/rubrics.hpp"
#include "suites/fsdp/training/checks.hpp"
#include "suites/fsdp/training/evidence.hpp"

namespace assay::suites::fsdp {
namespace {

using harness::Check;
using harness::CurrentSources;
using harness::RecordFile;
using Decision = harness::RubricLine::Decision;
using Status = harness::RubricLine::Status;
using nlohmann::json;

Decision open(std::string why) {
  return {Status::kOpen, 0, std::move(why)};
}

/// The newest, one from a GPU before one from a CPU.
const Check* find_check(const RecordFile& file, const std::string& name) {
  const Check* best = nullptr;
  const auto key = [](const Check& c) {
    return std::pair(c.device.kind == harness::DeviceKind::kCuda, c.provenance.utc);
  };
  for (const Check& check : file.checks)
    if (check.challenge == kTraining && check.check == name && (best == nullptr || key(check) >= key(*best)))
      best = &check;
  return best;
}

/// What keeps a check from being evidence of two GPUs; nullopt when it passed on them.
std::optional<Decision> unusable(const Check* check, const std::string& name, const CurrentSources& current) {
  if (check == nullptr)
    return open("needs 2 GPUs: no check " + name + " in the records");
  if (check->outcome == "skipped")
    return open(name + " was skipped: " + check->reason);
  if (check->device.kind != harness::DeviceKind::kCuda)
    return open("needs 2 GPUs: " + name + " ran on CPU ranks only (" + check->device.name + ")");
  const auto now = current.find({check->challenge, kShardedStep});
  if (now != current.end() && now->second != check->provenance.sources_sha256)
    return Decision{Status::kStale, 0, name + " was made with older sources; run it again"};
  if (check->outcome != "passed")
    return Decision{Status::kLost, 0, name + " is " + check->outcome + ": " + check->reason};
  const json evidence = json::parse(check->evidence_json);
  if (evidence.value("gpus", 0) < 2 || evidence.value("transport", "") != "nccl")
    return open("needs 2 GPUs: " + name + " ran on " + std::to_string(evidence.value("gpus", 0)) + " over " +
                evidence.value("transport", "nothing"));
  return std::nullopt;
}

/// "Else the whole part is 0".
Decision only_with_example(const RecordFile& file, const CurrentSources& current, Decision earned) {
  if (earned.status == Status::kEarned && unusable(find_check(file, kT4Example), kT4Example, current))
    return open("would earn " + std::to_string(earned.points) + " (" + earned.proof +
                "), but the part counts only with the 2×T4 example: no check " + kT4Example + " passed");
  return earned;
}

Decision fully_sharded(const RecordFile& file, const CurrentSources& current, int captured_points) {
  constexpr int kEagerPoints = 3;
  const Check* check = find_check(file, kShardedLoss);
  if (auto decision = unusable(check, kShardedLoss, current))
    return *decision;
  const json evidence = json::parse(check->evidence_json);
  const int steps = evidence.value("steps", 0);
  if (steps < kLeastSteps || evidence.value("matches", false) != true)
    return open("expected " + std::to_string(kLeastSteps) + " steps with the losses of one process, found " +
                std::to_string(steps));
  const bool captured = evidence.value("captured", false);
  const int points = captured ? captured_points : kEagerPoints;
  return only_with_example(file, current,
                           {Status::kEarned, points,
                            std::to_string(steps) + " steps on " + std::to_string(evidence.value("gpus", 0)) +
                                " GPUs with the losses of one process, step " +
                                (captured ? "captured" : "not captured") + ", on " + check->device.name});
}

/// A line whose check says all of it by passing on two GPUs.
harness::RubricLine by_check(std::string text, int points, const char* check) {
  return {std::move(text), points, [=](const RecordFile& file, const CurrentSources& current) {
            if (auto decision = unusable(find_check(file, check), check, current))
              return *decision;
            return only_with_example(file, current,
                                     {Status::kEarned, points, std::string(check) + " passed on 2 GPUs"});
          }};
}

/// A line that nothing decides yet.
harness::RubricLine undecided(std::string text, int points, std::string missing) {
  return {std::move(text), points,
          [missing](const RecordFile&, const CurrentSources&) { return open(missing); }};
}

/// Counts instead of the first line, so it has no points beside it.
harness::RubricLine pipelines() {
  return {"Instead of the first line: tensor or pipeline parallel, zero bubble +3, without +2", 0,
          [](const RecordFile& file, const CurrentSources&) {
            const Check* check = find_check(file, kBubble);
            const std::string ran =
                check != nullptr && check->outcome == "passed"
                    ? "; schedules ran on CPU ranks with stages that wait, which earns nothing"
                    : "";
            return open("needs 2 GPUs: no pipeline of layers was timed on them" + ran);
          }};
}

const harness::RegisterRubric kThis(rubric);

}  // namespace

harness::Rubric rubric() {
  return {
      .suite = "fsdp",
      .title = "B: QLoRA with FSDP2",
      .lines = {{"Fully sharded QLoRA works, step captured (+3 not captured)", 5,
                 [](const RecordFile& file, const CurrentSources& current) {
                   return fully_sharded(file, current, 5);
                 }},
                by_check("Uses part A's single kernel, and is faster", 3, kKernelSpeedup),
                undecided("torchAO is slower than bitsandbytes", -3,
                          "needs a GPU: neither torchAO nor bitsandbytes was measured inside the engine"),
                pipelines(),
                undecided("Instead of the first line: FSDP1, flat parameters, +1", 0,
                          "the flat layout is an option of the sharded engine, judged with the first line"),
                by_check("Example on 2×T4 (else the whole part is 0)", 2, kT4Example)}};
}

}  // namespace assay::suites::fsdp
