// SPDX-License-Identifier: Apache-2.0
// The checks of fsdp/training: QLoRA over ranks against one process.
#pragma once

#include <string>
#include <vector>

#include "harness/core/challenge.hpp"

namespace assay::suites::fsdp {

inline constexpr const char* kTraining = "fsdp/training";
inline constexpr const char* kShardedStep = "sharded_step";  ///< the implementation the checks speak of
inline constexpr const char* kShardedLoss = "sharded_loss";
inline constexpr const char* kCollectives = "collectives";
inline constexpr const char* kMemory = "memory_per_rank";
inline constexpr const char* kResume = "resume_bitwise";
inline constexpr const char* kSchedules = "pipeline_schedules";
inline constexpr const char* kBubble = "pipeline_bubble";

/// Where ranks run, and a fault of faults.hpp that they have; empty: none.
struct RankDevice {
  std::string name = "cpu";          ///< or "cuda": a GPU a rank
  std::vector<int> worlds = {2, 4};  ///< numbers of ranks
};
/// On a CPU 2 and 4 ranks over sockets; on GPUs 2, and 4 where there are as many, over NCCL. Throws
/// harness::Skip where there are fewer than two.
RankDevice rank_device(harness::DeviceKind kind);

/// On a tiny Llama with a random NF4 base, f32, six batches of four unequal sequences in turn.
///   sharded_loss: sharded by parameter and flat, replicated, shared by pairs, all layers gathered at once:
///     losses and adapters of 60 steps within twice the band of one process that sums in other orders.
///   collectives: how often every rank took part in each, against the plan's formula.
///   memory_per_rank: what stays on every rank, against layout/rank_memory and a base's share.
///   resume_bitwise: 60 steps with a checkpoint behind the 31st; the rest by new processes, bit for bit.
/// Evidence as JSON; throws std::runtime_error where something does not hold.
std::string sharded_loss(const RankDevice& device, const std::string& fault = {});
std::string collectives(const RankDevice& device, const std::string& fault = {});
std::string memory_per_rank(const RankDevice& device, const std::string& fault = {});
std::string resume_bitwise(const RankDevice& device, const std::string& fault = {});

/// On 2 ranks, 8 microbatches, stages that wait 30 ms an action: the schedules of pipeline_evidence.hpp as
/// they ran. `fault` "named_only": every name runs GPipe's list.
std::string pipeline_bubble(const std::string& fault = {});

/// Those above; pipeline_schedules, which needs no ranks; pipeline_bubble, which takes times.
std::vector<harness::Challenge::SuiteCheck> training_checks();

}  // namespace assay::suites::fsdp
