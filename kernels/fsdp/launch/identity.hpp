// SPDX-License-Identifier: Apache-2.0
// Which rank of how many this process is, as its launcher says in the environment: torchrun, Slurm, Open MPI,
// or PMI (MPICH, Intel MPI), in this order; alone where none of them started it.
#pragma once

#include <functional>
#include <optional>
#include <string>

namespace assay::kernels::fsdp {

struct RankIdentity {
  int rank = 0, world = 1;
  int local_rank = 0, local_world = 1;  ///< on this machine: chooses the GPU
  std::string host = "127.0.0.1";       ///< where rank 0's store listens
  int port = 0;                         ///< 0: whoever starts the store chooses one
  std::string run;  ///< differs from run to run and from restart to restart: a prefix for the store's keys
  std::string launcher = "none";
  bool store_is_up = false;  ///< torchrun's agent hosts the store: rank 0 is a client too
};

/// The value of a variable; nothing where it is not set.
using Environment = std::function<std::optional<std::string>(const char* name)>;

/// Throws std::invalid_argument naming the variable, what was expected and found: one of a launcher's
/// variables without the others, no number, a rank outside its world, several machines and no MASTER_ADDR.
RankIdentity identity_from(const Environment& environment);

/// Of this process.
std::optional<std::string> process_environment(const char* name);

/// "n[003-005,9],m1" → "n003": Slurm's first host. Throws std::invalid_argument for an empty or broken list.
std::string first_host(const std::string& node_list);

}  // namespace assay::kernels::fsdp
