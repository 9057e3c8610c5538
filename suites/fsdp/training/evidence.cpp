// SPDX-License-Identifier: Apache-2.0
#include "suites/fsdp/training/evidence.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <stdexcept>

namespace assay::suites::fsdp {
namespace {

using Json = nlohmann::ordered_json;
constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kLeastFall = 0.1;
constexpr std::size_t kAveraged = 6;  ///< losses at both ends: one of every batch

template <class T>
double distance(const std::vector<T>& a, const std::vector<T>& b) {
  if (a.size() != b.size() || a.empty())
    return kInfinity;
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double d = static_cast<double>(a[i]) - static_cast<double>(b[i]);
    sum += d * d;
  }
  return std::isfinite(sum) ? std::sqrt(sum) : kInfinity;
}

void want(Json& faults, bool holds, const std::string& what, const std::string& found) {
  if (!holds)
    faults.push_back("expected " + what + ", found " + found);
}
std::string text_of(double value) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.3g", value);
  return text;
}

/// What has its fields in run_plan.hpp.
template <class T>
Json fields_of(const T& value) {
  return nlohmann::json(value);
}
Json json_of(const Apart& apart) {
  return {{"loss", apart.loss}, {"adapters", apart.adapters}};
}

template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && !a.empty() && std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0;
}

}  // namespace

Apart apart(const TrainedRun& a, const TrainedRun& b) {
  const double moved = distance(a.end, a.start), ends = distance(a.end, b.end);
  return {.loss = distance(a.losses, b.losses) / std::sqrt(std::max<double>(1, std::ssize(a.losses))),
          .adapters = moved > 0 && std::isfinite(moved) ? ends / moved : kInfinity};
}

/// What the runs of one process must show before anything can be held against them; gives the band.
static Apart judge_orders(const std::vector<TrainedRun>& orders, Json& evidence, Json& faults) {
  Apart band;
  for (std::size_t i = 0; i < orders.size(); ++i)
    for (std::size_t j = i + 1; j < orders.size(); ++j) {
      const Apart two = apart(orders[i], orders[j]);
      band = {std::max(band.loss, two.loss), std::max(band.adapters, two.adapters)};
    }
  const std::vector<double>& losses = orders.front().losses;
  want(faults, std::ssize(losses) >= kLeastSteps, std::to_string(kLeastSteps) + " steps",
       std::to_string(losses.size()));
  double first = 0, last = 0;
  for (std::size_t i = 0; i < kAveraged && losses.size() >= 2 * kAveraged; ++i) {
    first += losses[i] / kAveraged;
    last += losses[losses.size() - 1 - i] / kAveraged;
  }
  want(faults, last < (1 - kLeastFall) * first, "a loss that falls by a tenth from " + text_of(first),
       text_of(last));
  want(faults, band.loss > 0 && band.loss <= kLeastFall * (first - last),
       "orders of sums apart, by a tenth of what was learned at most", text_of(band.loss));
  evidence = {{"steps", losses.size()}, {"orders", orders.size()}, {"first_loss", first},
              {"last_loss", last},      {"band", json_of(band)},   {"allowed", kTrainingBand}};
  return band;
}

Json sharded_loss_evidence(const std::vector<TrainedRun>& orders, const std::vector<NamedTraining>& plans) {
  if (orders.size() < 2)
    throw std::invalid_argument("expected at least two orders of sums, found " +
                                std::to_string(orders.size()));
  Json evidence, faults = Json::array(), found = Json::array();
  const Apart band = judge_orders(orders, evidence, faults);
  want(faults, !plans.empty(), "a plan", "none");
  for (const NamedTraining& plan : plans) {
    const Apart far = apart(orders.front(), plan.run);
    want(faults, far.loss <= kTrainingBand * band.loss,
         plan.name + ": losses within " + text_of(kTrainingBand * band.loss), text_of(far.loss));
    want(faults, far.adapters <= kTrainingBand * band.adapters,
         plan.name + ": adapters within " + text_of(kTrainingBand * band.adapters), text_of(far.adapters));
    found.push_back({{"plan", plan.name}, {"ranks", plan.ranks}, {"apart", json_of(far)}});
  }
  evidence["matches"] = faults.empty();
  evidence["plans"] = std::move(found);
  evidence["faults"] = std::move(faults);
  return evidence;
}

PlannedCollectives planned_collectives(const RunPlan& plan, int world) {
  const int to_a_base = plan.gather_ranks == 0 ? world : plan.gather_ranks;
  const std::int64_t buffers = std::min(plan.buffers, kLayers);
  PlannedCollectives planned;
  planned.before = {.all_reduces = 1};
  planned.later_step = {.all_gathers = 1 + 3, .all_reduces = 2 + 2, .reduce_scatters = 1 + 2};
  planned.first_step = planned.later_step;
  if (to_a_base > 1) {
    planned.first_step.layer_gathers = 2 * kLayers - buffers;
    planned.later_step.layer_gathers = 2 * (kLayers - buffers);
  }
  return planned;
}

Json collectives_evidence(const std::vector<PlannedRun>& runs) {
  Json found = Json::array(), faults = Json::array();
  for (const PlannedRun& run : runs) {
    const PlannedCollectives planned = planned_collectives(run.plan, run.world());
    const std::int64_t later = run.plan.steps - 1;
    const Collectives each = planned.later_step;
    const Collectives all_later{later * each.layer_gathers, later * each.all_gathers,
                                later * each.all_reduces, later * each.reduce_scatters, 0};
    for (const RankReport& rank : run.ranks) {
      const std::string who = run.name + ", rank " + std::to_string(rank.rank);
      const auto equal = [&](const char* when, const Collectives& wanted, const Collectives& counted) {
        want(faults, wanted == counted, who + ": " + when + " " + fields_of(wanted).dump(),
             fields_of(counted).dump());
      };
      equal("before the first step", planned.before, rank.before);
      equal("in the first step", planned.first_step, rank.first_step);
      equal("in all later steps", all_later, rank.later_steps);
    }
    found.push_back({{"plan", run.name},
                     {"ranks", run.world()},
                     {"steps", run.plan.steps},
                     {"first_step", fields_of(planned.first_step)},
                     {"later_step", fields_of(planned.later_step)}});
  }
  want(faults, !runs.empty(), "a plan", "none");
  return {{"plans", std::move(found)}, {"faults", std::move(faults)}};
}

Json memory_evidence(const std::vector<PlannedRun>& runs) {
  Json found = Json::array(), faults = Json::array();
  for (const PlannedRun& run : runs) {
    for (const RankReport& rank : run.ranks) {
      const std::string who = run.name + ", rank " + std::to_string(rank.rank);
      want(faults, rank.planned == rank.found, who + ": resident bytes " + fields_of(rank.planned).dump(),
           fields_of(rank.found).dump());
      want(faults, rank.found.packed > 0 && rank.found.packed <= rank.packed_limit,
           who + ": packed bytes within its share of " + std::to_string(rank.packed_limit),
           std::to_string(rank.found.packed));
    }
    if (!run.ranks.empty())
      found.push_back({{"plan", run.name},
                       {"ranks", run.world()},
                       {"resident_bytes", fields_of(run.ranks.front().found)},
                       {"packed_limit", run.ranks.front().packed_limit}});
  }
  want(faults, !found.empty(), "a plan", "none");
  return {{"plans", std::move(found)}, {"faults", std::move(faults)}};
}

Json resume_evidence(const std::vector<ResumedRun>& runs) {
  Json found = Json::array(), faults = Json::array();
  for (const ResumedRun& run : runs) {
    const std::string who = std::to_string(run.world) + " ranks";
    const auto saved = std::clamp<std::ptrdiff_t>(run.saved_after, 0, std::ssize(run.whole.losses));
    const std::vector<double> rest(run.whole.losses.begin() + saved, run.whole.losses.end());
    const bool losses = same_bits(rest, run.resumed.losses),
               adapters = same_bits(run.whole.end, run.resumed.end);
    want(faults, losses,
         who + ": the " + std::to_string(rest.size()) + " losses behind the checkpoint, bit for bit",
         std::to_string(run.resumed.losses.size()) + " losses, " +
             text_of(distance(rest, run.resumed.losses)) + " apart");
    want(faults, adapters, who + ": the same adapters at the end, bit for bit",
         text_of(distance(run.whole.end, run.resumed.end)) + " apart");
    found.push_back({{"ranks", run.world},
                     {"saved_after", run.saved_after},
                     {"steps_resumed", run.resumed.losses.size()},
                     {"same_losses", losses},
                     {"same_adapters", adapters}});
  }
  want(faults, !runs.empty(), "a run", "none");
  return {{"runs", std::move(found)}, {"faults", std::move(faults)}};
}

std::string without_faults(const Json& evidence) {
  std::string text;
  for (const Json& fault : evidence.at("faults")) text += fault.get<std::string>() + "; ";
  if (!text.empty())
    throw std::runtime_error(text + "evidence: " + evidence.dump());
  return evidence.dump();
}

}  // namespace assay::suites::fsdp
