// SPDX-License-Identifier: Apache-2.0
#include "suites/compile/training/picture.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "harness/report/format.hpp"
#include "harness/report/pictures.hpp"
#include "harness/report/scatter.hpp"
#include "suites/compile/training/checks.hpp"

namespace assay::suites::compile {
namespace {

using harness::Role;
using harness::report::interval_text;
using harness::report::Scatter;
using harness::report::ScatterLine;
using harness::report::ScatterPoint;
using harness::report::significant;
using nlohmann::ordered_json;

std::string rate_and_memory(const ScatterPoint& point) {
  return significant(point.y) + " tokens/s in " + significant(point.x) + " GiB";
}

harness::Interval interval_of(const ordered_json& speedup) {
  harness::Interval interval;
  interval.median = speedup.at("median");
  interval.ci_low = speedup.at("ci_low");
  interval.ci_high = speedup.at("ci_high");
  interval.pairs = speedup.at("pairs");
  return interval;
}

ScatterPoint policy_point(const std::string& name, const ordered_json& policy, bool in_pairs) {
  ScatterPoint point;
  point.x = policy.at("gib");
  point.y = policy.at("tokens_per_s");
  point.label = "keeps " + name + (in_pairs ? " *" : "");
  point.about = name + ": " + rate_and_memory(point) + ", " +
                significant(policy.at("step_ms").get<double>()) + " ms a step";
  return point;
}

/// Its rate is that of our policy in the pairs over the paired ratio; its interval likewise.
ScatterPoint peer_point(const ordered_json& evidence, double our_rate) {
  const harness::Interval speedup = interval_of(evidence.at("speedup"));
  ScatterPoint point;
  point.x = evidence.at("peer").at("gib_of_torch");
  point.y = our_rate / speedup.median;
  point.y_interval = {our_rate / speedup.ci_high, our_rate / speedup.ci_low};
  point.role = Role::kPeer;
  point.label = evidence.at("peer").at("method");
  point.about = point.label + ": " + rate_and_memory(point) + "; ours is " + interval_text(speedup) + " in " +
                std::to_string(speedup.pairs) + " pairs";
  return point;
}

Scatter speed_scatter(const ordered_json& evidence) {
  const ordered_json& policies = evidence.at("policies");
  const std::string chosen = evidence.at("policy");
  Scatter scatter{.name = "Tokens a second against memory, " + evidence.at("shape").get<std::string>(),
                  .x_title = "GiB at the peak of a step",
                  .y_title = "tokens a second",
                  .points = {},
                  .lines = {}};
  for (const auto& [name, policy] : policies.items()) {
    scatter.points.push_back(policy_point(name, policy, name == chosen));
  }
  scatter.points.push_back(peer_point(evidence, policies.at(chosen).at("tokens_per_s")));
  double fastest = 0;
  for (const ScatterPoint& point : scatter.points) {
    fastest = std::max(fastest, point.y);
  }
  const double half = scatter.points.back().x / 2;
  scatter.lines.push_back(
      {.points = {{half, fastest}, {half, 0}}, .label = "half of the peer's memory", .is_limit = false});
  return scatter;
}

ScatterLine loss_line(const std::string& name, const ordered_json& losses) {
  ScatterLine line{.points = {}, .label = "", .is_limit = name.starts_with("captured")};
  for (std::size_t step = 0; step < losses.size(); ++step) {
    line.points.emplace_back(static_cast<double>(step + 1), losses[step].get<double>());
  }
  return line;
}

Scatter loss_scatter(const ordered_json& evidence) {
  Scatter scatter{.name = "Loss by step", .x_title = "step", .y_title = "loss", .points = {}, .lines = {}};
  scatter.y_from_zero = false;
  for (const auto& [name, losses] : evidence.at("losses").items()) {
    scatter.lines.push_back(loss_line(name, losses));
    const auto& [step, loss] = scatter.lines.back().points.at(losses.size() - 1);
    ScatterPoint end{.x = step, .y = loss, .label = name, .about = name + ": " + significant(loss)};
    end.role = name.starts_with("captured") ? Role::kCandidate : Role::kBaseline;
    scatter.points.push_back(end);
  }
  return scatter;
}

std::string drawn(const harness::Check& check, Scatter (*make)(const ordered_json&), const char* caption) {
  try {
    const std::string chart = scatter_chart(make(ordered_json::parse(check.evidence_json)));
    return chart.empty() ? "" : chart + "<p class=\"note\">" + caption + "</p>";
  } catch (const ordered_json::exception&) {
    return "";  // evidence of a check that was skipped, or older than what is drawn here
  }
}

harness::RegisterPicture picture_of(const char* check, const char* title,
                                    std::string (*draw)(const harness::Check&)) {
  return harness::RegisterPicture([=] {
    return harness::Picture{.challenge = kTrainingStep, .check = check, .title = title, .draw = draw};
  });
}

const auto kPictures = {
    picture_of("speed_8b", "Speed against memory, a step of Llama-3.1-8B", speed_against_memory),
    picture_of("speed_1b", "Speed against memory, a step of Llama-3.2-1B", speed_against_memory),
    picture_of("sixty_steps", "Sixty steps of training", losses_by_step)};

}  // namespace

std::string speed_against_memory(const harness::Check& speed) {
  return drawn(speed, speed_scatter,
               "Circles: our captured step by what it keeps for backward, * in pairs with the peer; up and "
               "left is better. Diamond: the "
               "peer's memory, its speed from the pairs (ours over the paired ratio, bar: 95 % interval).");
}

std::string losses_by_step(const harness::Check& training) {
  return drawn(training, loss_scatter,
               "Solid: the captured step. Dashed: plain runs of the same training that differ in nothing but "
               "the order of their sums.");
}

}  // namespace assay::suites::compile
