// SPDX-License-Identifier: Apache-2.0
// What runs of a training step show: pure functions of what was measured.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "harness/core/outcome.hpp"

namespace assay::suites::compile {

/// A captured step that keeps more or less for backward.
struct PolicyRun {
  std::string keep = {};
  double seconds = 0;  ///< a step
  std::size_t bytes = 0;
  double first_step_s = 0;
  nlohmann::ordered_json counters = {};
};

/// Other people's step, in pairs with ours of the policy `chosen`.
struct PeerRun {
  std::string method = {};
  nlohmann::json began = {};
  std::size_t bytes = 0;
  std::vector<double> seconds = {}, ours = {};  ///< of as many steps, pair by pair
  std::string chosen = {};
};

/// Mixes of lengths against full sequences, by the same graph, pair by pair; each of all tokens alike.
struct PackedRun {
  std::int64_t mixes = 0, distinct_lengths = 0;
  double tokens_of_mixes = 0, tokens_of_full = 0;  ///< a pair
  std::vector<double> mixes_s = {}, full_s = {};
  nlohmann::ordered_json counters = {};
};

struct SpeedRun {
  std::string shape = {};
  std::int64_t tokens = 0;  ///< a step
  double first_loss = 0;
  std::vector<PolicyRun> policies = {};  ///< the first of them from nothing
  double warm_first_step_s = 0;          ///< with compiled programs and winners among products on disk
  PeerRun peer = {};
  PackedRun packed = {};
};

struct SpeedWanted {
  double speedup = 0;        ///< over the peer, the interval's lower end
  double packed = 0.95;      ///< tokens a second of mixes over those of full sequences, the median
  double cold_s = 60;        ///< to the first step, nothing cached
  double warm_s = 5;         ///< the same, caches filled
  std::int64_t mixes = 0;    ///< at least
  double loss_apart = 5e-3;  ///< of the first losses, relative: the same model and tokens
};

/// The fastest policy within half of the peer's memory; the smallest where none is. Throws
/// std::invalid_argument without policies.
const PolicyRun& within_half(const std::vector<PolicyRun>& policies, std::size_t peer_bytes);

/// How many of `layers` must keep less, so that a step of `more` bytes fits into `limit` where one whose
/// layers all keep less has `less` bytes; one layer more than the straight line between both says, and all of
/// them where even that is too much. Throws std::invalid_argument unless more > limit and more > less.
std::int64_t lean_layers_within(std::int64_t layers, std::size_t more, std::size_t less, std::size_t limit);

/// `tokens_per_s` and `bytes` of every policy, `speedup` over the peer with its interval, `memory_ratio`,
/// `packed`, counters, `faults`: what was wanted and not reached, in words.
nlohmann::ordered_json speed_evidence(const SpeedRun& run, const SpeedWanted& wanted);

/// The products of one captured step, their algorithms chosen by timing.
struct ProductsRun {
  std::int64_t mixes = 0;                ///< of lengths that the same graph ran
  nlohmann::ordered_json table = {};     ///< product, proposals, winner, first_us, winner_us, kept
  nlohmann::ordered_json counters = {};  ///< of the step that searched, after all mixes
  nlohmann::ordered_json kept_table = {},
                         kept_counters = {};  ///< of one after it that had the table from disk
};
/// `products` with the gain of each, how many algorithms were tried and how many products did not take the
/// first, `mixes`, counters, `faults`: no table, nothing tried, a search after warm-up, a search of the
/// second step, fewer mixes than RUBRIC part C wants.
nlohmann::ordered_json products_evidence(const ProductsRun& run);
inline constexpr std::int64_t kLengthMixes = 200;

/// One training.
struct TrainedRun {
  std::vector<double> losses = {};
  std::vector<float> adapters = {};
};

/// How far two trainings are apart.
struct TrainingApart {
  double loss = 0;      ///< root of the mean over steps of (loss_a − loss_b)²
  double adapters = 0;  ///< |end_a − end_b| / |end_a − start|
};
/// Infinite for what cannot be compared or is not finite.
TrainingApart apart(const TrainedRun& a, const TrainedRun& b, const std::vector<float>& start);

/// RUBRIC part E's: within twice the difference of plain runs.
inline constexpr double kTrainingBand = 2.0;

/// `band`: the farthest that two of the plain runs (the same training, summed in other orders) are apart;
/// `captured`: ours from the first of them; `matches`; `fell`; `faults`. Throws std::invalid_argument for
/// fewer than two plain runs.
nlohmann::ordered_json training_evidence(const std::vector<TrainedRun>& plain, const TrainedRun& captured,
                                         const std::vector<float>& start);

/// The evidence as text; throws std::runtime_error with faults and evidence where there are faults.
std::string without_faults(const nlohmann::ordered_json& evidence);

}  // namespace assay::suites::compile
