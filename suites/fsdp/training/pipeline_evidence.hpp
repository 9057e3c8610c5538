// SPDX-License-Identifier: Apache-2.0
// Pipeline schedules: held against their formula by simulation, and what ranks measured of them.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "kernels/fsdp/schedule/check.hpp"
#include "kernels/fsdp/schedule/simulate.hpp"
#include "suites/fsdp/training/pipeline_plan.hpp"

namespace assay::suites::fsdp {

/// "gpipe", "1f1b", "interleaved" (two stages a rank), "zb-h1", "zbv", without transfers. Throws
/// std::invalid_argument for another name.
kernels::fsdp::Schedule named_schedule(const std::string& name, int ranks, int microbatches);

/// Time beyond the mean rank's compute, relative to it, for p ranks and m microbatches: with F, I and W of
/// one,
///   gpipe, 1f1b      (p − 1)/m
///   interleaved      (p − 1)/(2m)
///   zb-h1            (p − 1)(F + I − W)/(m(F + I + W))      Qi et al., arXiv 2401.10241
///   zbv              half of that                           Qi et al., arXiv 2405.15362
/// for W = 0 and for F = I = W.
double bubble_formula(const std::string& name, int ranks, int microbatches, double weight);

/// Every schedule on 2 and 4 ranks: refused by no check, its simulated bubble the formula's, and
/// recomputation hoisted into 1F1B's bubble cuts a quarter of it. Every wrong schedule is refused by the
/// check that it names.
nlohmann::ordered_json schedules_evidence();

/// A wrong schedule of two ranks and four microbatches, and who must refuse it.
struct WrongSchedule {
  std::string name;
  kernels::fsdp::ScheduleCheck refused_by;
  kernels::fsdp::Schedule schedule;
};
std::vector<WrongSchedule> wrong_schedules();

/// A schedule as ranks ran it.
struct MeasuredPipeline {
  std::string name = {}, recompute = {};  ///< recompute: "", "inside" a backward, "hoisted"
  int ranks = 2, microbatches = 8;
  WaitingCosts costs = {};
  double simulated = 0;               ///< bubble over the ideal
  std::vector<double> measured = {};  ///< of each repeat
};
/// Of one repeat on all ranks: the last end over the mean rank's compute, less one.
double measured_bubble(const std::vector<PipelineTimes>& ranks);

/// The least of a schedule's repeats (a busy machine only adds to it) within three points of the formula, and
/// hoisted recomputation at least a quarter below that inside.
inline constexpr double kBubblePoints = 0.03;
nlohmann::ordered_json bubble_evidence(const std::vector<MeasuredPipeline>& runs);

}  // namespace assay::suites::fsdp
