// SPDX-License-Identifier: Apache-2.0
#include "suites/compile/training/evidence.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <stdexcept>

#include "harness/measure/statistics.hpp"

namespace assay::suites::compile {
namespace {

using Json = nlohmann::ordered_json;
constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr std::size_t kAveraged = 5;
constexpr double kLeastFall = 0.1;

Json json_of(const harness::Interval& interval) {
  return {{"median", interval.median},
          {"ci_low", interval.ci_low},
          {"ci_high", interval.ci_high},
          {"pairs", interval.pairs}};
}

double gib(std::size_t bytes) {
  return static_cast<double>(bytes) / (1 << 30);
}

void want(Json& faults, bool reached, const std::string& expected, double found) {
  if (!reached)
    faults.push_back("expected " + expected + ", found " + std::to_string(found));
}

Json packed_evidence(const PackedRun& packed, const SpeedWanted& wanted, Json& faults) {
  const harness::Interval slower = harness::paired_ratio(packed.full_s, packed.mixes_s);
  const double tokens = packed.tokens_of_mixes / packed.tokens_of_full;
  const harness::Interval rate{slower.median * tokens, slower.ci_low * tokens, slower.ci_high * tokens,
                               slower.confidence, slower.pairs};
  want(faults, rate.median >= wanted.packed,
       "mixed lengths at " + std::to_string(wanted.packed) + " of full sequences' tokens a second",
       rate.median);
  want(faults, packed.mixes >= wanted.mixes, std::to_string(wanted.mixes) + " mixes of lengths",
       static_cast<double>(packed.mixes));
  return {{"length_mixes", packed.mixes},
          {"distinct_lengths", packed.distinct_lengths},
          {"rate_against_full", json_of(rate)},
          {"counters", packed.counters}};
}

double root_mean_square(const std::vector<double>& a, const std::vector<double>& b) {
  if (a.empty() || a.size() != b.size())
    return kInfinity;
  double squares = 0;
  for (std::size_t i = 0; i < a.size(); ++i) squares += (a[i] - b[i]) * (a[i] - b[i]);
  return std::isfinite(squares) ? std::sqrt(squares / static_cast<double>(a.size())) : kInfinity;
}

double distance(const std::vector<float>& a, const std::vector<float>& b) {
  if (a.empty() || a.size() != b.size())
    return kInfinity;
  double squares = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double difference = static_cast<double>(a[i]) - static_cast<double>(b[i]);
    squares += difference * difference;
  }
  return std::isfinite(squares) ? std::sqrt(squares) : kInfinity;
}

double mean_of_last(const std::vector<double>& values) {
  return std::accumulate(values.end() - kAveraged, values.end(), 0.0) / kAveraged;
}
double mean_of_first(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.begin() + kAveraged, 0.0) / kAveraged;
}

}  // namespace

const PolicyRun& within_half(const std::vector<PolicyRun>& policies, std::size_t peer_bytes) {
  if (policies.empty())
    throw std::invalid_argument("expected at least one policy, found none");
  const PolicyRun* best = nullptr;
  for (const PolicyRun& run : policies)
    if (run.bytes <= peer_bytes / 2 && (best == nullptr || run.seconds < best->seconds))
      best = &run;
  return best != nullptr ? *best : *std::ranges::min_element(policies, {}, &PolicyRun::bytes);
}

std::int64_t lean_layers_within(std::int64_t layers, std::size_t more, std::size_t less, std::size_t limit) {
  if (more <= limit || more <= less)
    throw std::invalid_argument("expected more bytes than fit and than the lean step has, found " +
                                std::to_string(more) + " of " + std::to_string(limit) + ", lean " +
                                std::to_string(less));
  const double share = static_cast<double>(more - limit) / static_cast<double>(more - less);
  return std::min(layers, static_cast<std::int64_t>(std::ceil(share * static_cast<double>(layers))) + 1);
}

Json speed_evidence(const SpeedRun& run, const SpeedWanted& wanted) {
  Json faults = Json::array(), policies = Json::object();
  double slowest_start = 0;
  for (const PolicyRun& policy : run.policies) {
    policies[policy.keep] = {{"step_ms", 1e3 * policy.seconds},
                             {"tokens_per_s", static_cast<double>(run.tokens) / policy.seconds},
                             {"gib", gib(policy.bytes)},
                             {"first_step_s", policy.first_step_s},
                             {"counters", policy.counters}};
    slowest_start = std::max(slowest_start, policy.first_step_s);
  }
  const auto chosen = std::ranges::find(run.policies, run.peer.chosen, &PolicyRun::keep);
  if (chosen == run.policies.end())
    throw std::invalid_argument("expected one of the policies, found '" + run.peer.chosen + "'");
  const harness::Interval speedup = harness::paired_ratio(run.peer.seconds, run.peer.ours);
  const double memory = static_cast<double>(chosen->bytes) / static_cast<double>(run.peer.bytes);
  const double theirs = run.peer.began.at("losses").front();
  want(faults, speedup.ci_low >= wanted.speedup,
       std::to_string(wanted.speedup) + "x of " + run.peer.method + "'s tokens a second", speedup.ci_low);
  want(faults, memory <= 0.5, "at most half of " + run.peer.method + "'s memory", memory);
  want(faults, slowest_start <= wanted.cold_s, "a first step within " + std::to_string(wanted.cold_s) + " s",
       slowest_start);
  want(faults, run.warm_first_step_s <= wanted.warm_s,
       "a first step with filled caches within " + std::to_string(wanted.warm_s) + " s",
       run.warm_first_step_s);
  want(faults, std::abs(run.first_loss - theirs) <= wanted.loss_apart * theirs,
       run.peer.method + "'s first loss of " + std::to_string(theirs), run.first_loss);
  const std::int64_t steps = static_cast<std::int64_t>(std::ssize(run.peer.seconds));
  Json evidence{{"shape", run.shape},
                {"tokens_a_step", run.tokens},
                {"policies", std::move(policies)},
                {"peer",
                 {{"method", run.peer.method},
                  {"gib_of_torch", gib(run.peer.bytes)},
                  {"pairs", steps},
                  {"began", run.peer.began}}},
                {"policy", run.peer.chosen},
                {"cold_first_step_s", slowest_start},
                {"warm_first_step_s", run.warm_first_step_s},
                {"first_loss", run.first_loss},
                {"speedup", json_of(speedup)},
                {"memory_ratio", memory},
                {"packed", packed_evidence(run.packed, wanted, faults)}};
  evidence["faults"] = std::move(faults);
  return evidence;
}

Json products_evidence(const ProductsRun& run) {
  Json faults = Json::array(), products = Json::array();
  int tried = 0, others = 0;
  for (const Json& row : run.table) {
    Json product = row;
    product["gain"] = row.at("first_us").get<double>() / row.at("winner_us").get<double>();
    products.push_back(std::move(product));
    tried += row.at("proposals").get<int>();
    others += row.at("winner").get<int>() != 0 ? 1 : 0;
  }
  const auto count = [](const Json& counters, const char* name) { return counters.at(name).get<double>(); };
  want(faults, tried > static_cast<int>(run.table.size()), "several algorithms tried for a product", tried);
  want(faults, count(run.counters, "searches") > 0, "a search before the first step", 0);
  want(faults, run.counters.at("reasons").empty(), "no search, compilation or capture after warm-up",
       static_cast<double>(run.counters.at("reasons").size()));
  want(faults, run.kept_table.size() == run.table.size(), "the whole table kept on disk",
       static_cast<double>(run.kept_table.size()));
  want(faults, count(run.kept_counters, "searches") == 0, "no search by a step that has the table from disk",
       count(run.kept_counters, "searches"));
  want(faults, run.mixes >= kLengthMixes, std::to_string(kLengthMixes) + " mixes of lengths",
       static_cast<double>(run.mixes));
  return {{"products", std::move(products)}, {"algorithms_tried", tried},
          {"not_the_first", others},         {"length_mixes", run.mixes},
          {"counters", run.counters},        {"counters_from_disk", run.kept_counters},
          {"faults", std::move(faults)}};
}

TrainingApart apart(const TrainedRun& a, const TrainedRun& b, const std::vector<float>& start) {
  const double moved = distance(a.adapters, start), ends = distance(a.adapters, b.adapters);
  return {.loss = root_mean_square(a.losses, b.losses),
          .adapters = moved > 0 && std::isfinite(moved) ? ends / moved : kInfinity};
}

Json training_evidence(const std::vector<TrainedRun>& plain, const TrainedRun& captured,
                       const std::vector<float>& start) {
  if (plain.size() < 2)
    throw std::invalid_argument("expected at least two plain runs, found " + std::to_string(plain.size()));
  TrainingApart band;
  for (std::size_t i = 0; i < plain.size(); ++i)
    for (std::size_t j = i + 1; j < plain.size(); ++j) {
      const TrainingApart two = apart(plain[i], plain[j], start);
      band = {std::max(band.loss, two.loss), std::max(band.adapters, two.adapters)};
    }
  const TrainingApart ours = apart(plain.front(), captured, start);
  Json faults = Json::array();
  want(faults, ours.loss <= kTrainingBand * band.loss,
       "losses within " + std::to_string(kTrainingBand * band.loss), ours.loss);
  want(faults, ours.adapters <= kTrainingBand * band.adapters,
       "adapters within " + std::to_string(kTrainingBand * band.adapters), ours.adapters);
  const bool matches = faults.empty();
  double first = 0, last = 0;
  if (captured.losses.size() >= 2 * kAveraged)
    first = mean_of_first(captured.losses), last = mean_of_last(captured.losses);
  const bool fell = last < (1 - kLeastFall) * first;
  want(faults, fell, "a loss that falls by a tenth from " + std::to_string(first), last);
  // A band as wide as what was learned would let anything pass.
  want(faults, band.loss <= kLeastFall * (first - last),
       "plain runs apart by a tenth of what was learned at most", band.loss);
  return {{"steps", captured.losses.size()},
          {"plain_runs", plain.size()},
          {"band", {{"loss", band.loss}, {"adapters", band.adapters}}},
          {"captured", {{"loss", ours.loss}, {"adapters", ours.adapters}}},
          {"allowed", kTrainingBand},
          {"first_loss", first},
          {"last_loss", last},
          {"matches", matches},
          {"fell", fell},
          {"faults", std::move(faults)}};
}

std::string without_faults(const Json& evidence) {
  std::string text;
  for (const Json& fault : evidence.at("faults")) text += fault.get<std::string>() + "; ";
  if (!text.empty())
    throw std::runtime_error(text + "evidence: " + evidence.dump());
  return evidence.dump();
}

}  // namespace assay::suites::compile
