// SPDX-License-Identifier: Apache-2.0
// `--ranks N`: this machine's ranks as child processes, told who they are in torchrun's variables.
#pragma once

#include <chrono>
#include <string>
#include <vector>

namespace assay::kernels::fsdp {

struct RankEnd {
  int rank = 0;
  bool ok = false;
  std::string how;       ///< "exit code 3", "signal 9 (Killed)"
  bool stopped = false;  ///< by us, because another rank had failed
};

struct SpawnOptions {
  int ranks = 1;
  /// What the other ranks have to end by themselves after one failed, with a message that says why; then
  /// SIGTERM, and as much later SIGKILL.
  std::chrono::milliseconds grace{5000};
};

/// Starts `program` (argv[0] first) `ranks` times with RANK, LOCAL_RANK, WORLD_SIZE, LOCAL_WORLD_SIZE,
/// MASTER_ADDR, MASTER_PORT (a free one) and TORCHELASTIC_RUN_ID set, and waits for all. A child dies with
/// this process. In the order in which they ended. Throws std::invalid_argument for fewer than one rank,
/// std::system_error where none can be started.
std::vector<RankEnd> run_ranks(const std::vector<std::string>& program, const SpawnOptions& options);

}  // namespace assay::kernels::fsdp
