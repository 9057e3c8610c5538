// SPDX-License-Identifier: Apache-2.0
// What runs over ranks show: pure functions of what the ranks reported.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "suites/fsdp/training/run_plan.hpp"

namespace assay::suites::fsdp {

struct TrainedRun {
  std::vector<double> losses = {};
  std::vector<float> start = {}, end = {};  ///< all adapters
};

/// A plan, and what came of it on its ranks.
struct PlannedRun {
  std::string name = {};  ///< "shard on 2 ranks"
  RunPlan plan = {};
  std::vector<RankReport> ranks = {};

  int world() const { return static_cast<int>(ranks.size()); }
};

/// How far two trainings are apart.
struct Apart {
  double loss = 0;      ///< root of the mean over steps of (loss_a − loss_b)²
  double adapters = 0;  ///< |end_a − end_b| / |end_a − start|
};
/// Infinite for what cannot be compared or is not finite.
Apart apart(const TrainedRun& a, const TrainedRun& b);

/// RUBRIC's: within twice the difference of runs that sum in another order.
inline constexpr double kTrainingBand = 2.0;
inline constexpr int kLeastSteps = 60;

struct NamedTraining {
  std::string name = {};
  int ranks = 1;
  TrainedRun run = {};
};
/// `orders`: one process, whose sums are taken in other orders; the farthest two of them are the band,
/// against the first of them every plan is held. `faults` say what was wanted and not found; also a loss that
/// does not fall by a tenth, fewer than 60 steps, and a band wider than a tenth of what was learned. Throws
/// std::invalid_argument for fewer than two orders.
nlohmann::ordered_json sharded_loss_evidence(const std::vector<TrainedRun>& orders,
                                             const std::vector<NamedTraining>& plans);

/// What one rank takes part in: setting up, in the first step, and in each further one. With L layers, b
/// buffers and n ranks to a base: 2L − b gathers of layers, then 2(L − b); none where n is 1. Of all ranks:
/// one all-gather (adapters), two all-reduces (labels and loss; square sum), one reduce-scatter; and three,
/// two and two for embedding and head, which agree on the most tokens by one all-reduce while they are set
/// up.
struct PlannedCollectives {
  Collectives before, first_step, later_step;
};
PlannedCollectives planned_collectives(const RunPlan& plan, int world);
nlohmann::ordered_json collectives_evidence(const std::vector<PlannedRun>& runs);

/// Every rank keeps what rank_memory says, to the byte, and of a sharded base not more than its share.
nlohmann::ordered_json memory_evidence(const std::vector<PlannedRun>& runs);

/// `whole`: not interrupted; `resumed`: its steps behind `saved_after`, by new processes.
struct ResumedRun {
  int world = 1, saved_after = 0;
  TrainedRun whole = {}, resumed = {};
};
/// Losses and adapters bit for bit.
nlohmann::ordered_json resume_evidence(const std::vector<ResumedRun>& runs);

/// The evidence as text; throws std::runtime_error with faults and evidence where there are faults.
std::string without_faults(const nlohmann::ordered_json& evidence);

}  // namespace assay::suites::fsdp
