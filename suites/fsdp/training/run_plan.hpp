// SPDX-License-Identifier: Apache-2.0
// What every rank of a training is told, and what each reports: as JSON, since ranks are processes.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace assay::suites::fsdp {

inline constexpr int kSequences = 4;  ///< of a global batch
inline constexpr int kLayers = 4;     ///< of the model that is trained

struct RunPlan {
  std::string device = "cpu";  ///< or "cuda": one GPU a rank, NCCL
  int steps = 60;
  bool flat = false;     ///< the flat layout (FSDP1's) instead of one section a parameter
  int gather_ranks = 0;  ///< neighbours that share one base; 0: all ranks, 1: the base is replicated
  int buffers = 2;       ///< layers gathered at a time
  std::vector<int> order = {0, 1, 2, 3};  ///< sequences of a batch; each rank takes the next ones of it
  std::string checkpoints = {};           ///< folder; empty: none
  int save_after = 0;                     ///< the step behind which a checkpoint is written; 0: none
  bool resume = false;                    ///< go on behind the folder's newest checkpoint
  std::string fault = {};                 ///< of suites/fsdp/rank/faults.hpp; empty: none
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(RunPlan, device, steps, flat, gather_ranks, buffers, order, checkpoints,
                                   save_after, resume, fault)

/// Values [first, first + values) of an adapter.
struct AdapterRun {
  std::string name;
  std::int64_t first = 0;
  std::vector<float> values;
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(AdapterRun, name, first, values)

/// How often one rank took part.
struct Collectives {
  std::int64_t layer_gathers = 0;  ///< of the base, in its own group
  std::int64_t all_gathers = 0, all_reduces = 0, reduce_scatters = 0, others = 0;  ///< of all ranks
  bool operator==(const Collectives&) const = default;
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Collectives, layer_gathers, all_gathers, all_reduces, reduce_scatters,
                                   others)

/// Bytes that stay on one rank.
struct ResidentBytes {
  std::int64_t packed = 0, gather_buffers = 0, vocabulary = 0, adapters = 0;
  bool operator==(const ResidentBytes&) const = default;
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(ResidentBytes, packed, gather_buffers, vocabulary, adapters)

struct RankReport {
  int rank = 0;
  std::string error = {};  ///< why the rank ended early; the rest is not filled then
  std::string transport = {};
  std::vector<double> losses = {};  ///< of the steps this run took, of all ranks' tokens
  std::vector<AdapterRun> start = {}, end = {};
  Collectives before = {}, first_step = {}, later_steps = {};  ///< setting up; step 1; all further ones
  ResidentBytes planned = {}, found = {};  ///< layout/rank_memory.hpp's sizes; the engine's tensors
  std::int64_t packed_limit = 0;           ///< that a sharded base may have: total / world and padding
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(RankReport, rank, error, transport, losses, start, end, before, first_step,
                                   later_steps, planned, found, packed_limit)

}  // namespace assay::suites::fsdp
