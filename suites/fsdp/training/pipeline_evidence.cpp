// SPDX-License-Identifier: Apache-2.0
#include "suites/fsdp/training/pipeline_evidence.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "kernels/fsdp/schedule/generate.hpp"
#include "kernels/fsdp/schedule/lower.hpp"

namespace assay::suites::fsdp {
namespace {

using Json = nlohmann::ordered_json;
namespace schedules = kernels::fsdp;
using schedules::Schedule;
using schedules::ScheduleCheck;

constexpr const char* kNames[] = {"gpipe", "1f1b", "interleaved", "zb-h1", "zbv"};
constexpr double kRounding = 1e-9;

void want(Json& faults, bool holds, const std::string& what, double found) {
  if (!holds)
    faults.push_back("expected " + what + ", found " + std::to_string(found));
}

std::string percent(double share) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.1f %%", 100 * share);
  return text;
}

/// Of a schedule without transfers, costs of a whole rank's microbatch.
double simulated_bubble(const Schedule& schedule, schedules::StageCosts costs) {
  costs.scale.assign(static_cast<std::size_t>(schedule.stages()), 1.0 * schedule.world() / schedule.stages());
  return simulate(with_transfers(schedule), costs, 2).bubble_over_ideal();
}

void add_plain(int ranks, int microbatches, Json& found, Json& faults) {
  for (const char* name : kNames)
    for (const double weight : {0.0, 1.0}) {
      const Schedule schedule = named_schedule(name, ranks, microbatches);
      const auto findings = check_schedule(with_transfers(schedule));
      const double bubble = simulated_bubble(schedule, {.weight = weight}),
                   formula = bubble_formula(name, ranks, microbatches, weight);
      const std::string who =
          std::string(name) + " on " + std::to_string(ranks) + " ranks, W = " + std::to_string(weight);
      want(faults, findings.empty(), who + " to be refused by nothing", static_cast<double>(findings.size()));
      want(faults, std::abs(bubble - formula) <= kRounding, who + ": a bubble of " + percent(formula),
           bubble);
      const auto held = most_held(schedule);
      found.push_back({{"schedule", name},
                       {"ranks", ranks},
                       {"microbatches", microbatches},
                       {"weight_cost", weight},
                       {"bubble", bubble},
                       {"stage_microbatches_kept", *std::ranges::max_element(held)}});
    }
}

Json recomputed(int ranks, int microbatches, Json& faults) {
  const Schedule plain = named_schedule("1f1b", ranks, microbatches), hoisted = with_recompute(plain);
  const schedules::StageCosts costs{.weight = 0, .recompute = 1};
  const double inside = simulated_bubble(plain, costs), before = simulated_bubble(hoisted, costs);
  want(faults, check_schedule(with_transfers(hoisted)).empty(),
       "hoisted recomputation to be refused by nothing", ranks);
  want(faults, before <= 0.75 * inside, "a quarter of " + percent(inside) + " cut by hoisting", before);
  return {{"ranks", ranks}, {"microbatches", microbatches}, {"inside", inside}, {"hoisted", before}};
}

}  // namespace

Schedule named_schedule(const std::string& name, int ranks, int microbatches) {
  if (name == "gpipe")
    return schedules::gpipe(ranks, microbatches);
  if (name == "1f1b")
    return schedules::one_f_one_b(ranks, microbatches);
  if (name == "interleaved")
    return schedules::interleaved_1f1b(ranks, microbatches, 2);
  if (name == "zb-h1")
    return schedules::zb_h1(ranks, microbatches);
  if (name == "zbv")
    return schedules::zbv(ranks, microbatches);
  throw std::invalid_argument("expected gpipe, 1f1b, interleaved, zb-h1 or zbv, found '" + name + "'");
}

double bubble_formula(const std::string& name, int ranks, int microbatches, double weight) {
  const double start = static_cast<double>(ranks - 1) / microbatches;
  const double filled = start * (2 - weight) / (2 + weight);  // F = I = 1
  return name == "interleaved" ? start / 2 : name == "zb-h1" ? filled : name == "zbv" ? filled / 2 : start;
}

std::vector<WrongSchedule> wrong_schedules() {
  using enum schedules::ActionKind;
  std::vector<WrongSchedule> wrong;
  const auto add = [&](const char* name, ScheduleCheck by, const auto& change) {
    Schedule schedule = with_transfers(schedules::zb_h1(2, 4));
    change(schedule.ranks);
    wrong.push_back({name, by, std::move(schedule)});
  };
  const auto first = [](auto& actions, schedules::ActionKind kind) {
    return std::ranges::find(actions, kind, &schedules::Action::kind);
  };
  add("an action on the other rank", ScheduleCheck::kPlacement,
      [&](auto& ranks) { ranks[0].push_back(ranks[1][1]); });
  add("a microbatch forgotten", ScheduleCheck::kComplete,
      [&](auto& ranks) { ranks[0].erase(first(ranks[0], kForward)); });
  add("W before its I", ScheduleCheck::kOrder, [&](auto& ranks) {
    std::iter_swap(first(ranks[1], kBackwardInput), first(ranks[1], kBackwardWeight));
  });
  add("a message never sent", ScheduleCheck::kTransfers,
      [&](auto& ranks) { ranks[0].erase(first(ranks[0], kSendForward)); });
  add("gradients awaited before anything is sent", ScheduleCheck::kDeadlock, [&](auto& ranks) {
    const auto receive = first(ranks[0], kReceiveBackward);
    std::rotate(ranks[0].begin(), receive, receive + 1);
  });
  return wrong;
}

Json schedules_evidence() {
  Json found = Json::array(), refused = Json::array(), hoisted = Json::array(), faults = Json::array();
  for (const auto& [ranks, microbatches] : {std::pair(2, 8), std::pair(4, 16)}) {
    add_plain(ranks, microbatches, found, faults);
    hoisted.push_back(recomputed(ranks, microbatches, faults));
  }
  for (const WrongSchedule& wrong : wrong_schedules()) {
    const auto findings = check_schedule(wrong.schedule);
    const std::string by = findings.empty() ? "nothing" : name_of(findings.front().check);
    if (by != name_of(wrong.refused_by))
      faults.push_back("expected " + wrong.name + " to be refused by " + name_of(wrong.refused_by) +
                       ", found " + by);
    refused.push_back({{"fault", wrong.name}, {"by", by}});
  }
  return {{"schedules", std::move(found)},
          {"recompute", std::move(hoisted)},
          {"refused", std::move(refused)},
          {"faults", std::move(faults)}};
}

double measured_bubble(const std::vector<PipelineTimes>& ranks) {
  double end = 0, compute = 0;
  for (const PipelineTimes& rank : ranks) {
    end = std::max(end, rank.end);
    compute += rank.compute / static_cast<double>(ranks.size());
  }
  return compute > 0 ? end / compute - 1 : INFINITY;
}

Json bubble_evidence(const std::vector<MeasuredPipeline>& runs) {
  Json found = Json::array(), faults = Json::array();
  double inside = 0, hoisted = INFINITY;
  for (const MeasuredPipeline& run : runs) {
    const double least = run.measured.empty() ? INFINITY : *std::ranges::min_element(run.measured);
    // What is recomputed inside a backward makes it longer; a hoisted one has no formula but the simulation.
    const double wanted = run.recompute.empty() ? bubble_formula(run.name, run.ranks, run.microbatches,
                                                                 run.costs.weight / run.costs.forward)
                                                : run.simulated;
    const std::string who = run.name + (run.recompute.empty() ? "" : ", recomputed " + run.recompute);
    want(faults, std::abs(least - wanted) <= kBubblePoints, who + ": a bubble of " + percent(wanted), least);
    if (run.recompute == "inside")
      inside = least;
    if (run.recompute == "hoisted")
      hoisted = least;
    found.push_back({{"schedule", run.name},
                     {"recompute", run.recompute},
                     {"ranks", run.ranks},
                     {"microbatches", run.microbatches},
                     {"wanted", wanted},
                     {"simulated", run.simulated},
                     {"measured", run.measured}});
  }
  want(faults, hoisted <= 0.75 * inside, "a quarter of " + percent(inside) + " cut by hoisting", hoisted);
  return {{"stages", "wait"}, {"pipelines", std::move(found)}, {"faults", std::move(faults)}};
}

}  // namespace assay::suites::fsdp
