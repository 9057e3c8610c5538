// SPDX-License-Identifier: Apache-2.0
#include "kernels/fsdp/launch/identity.hpp"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <stdexcept>

namespace assay::kernels::fsdp {
namespace {

[[noreturn]] void refuse(const std::string& variable, const std::string& expected, const std::string& found) {
  throw std::invalid_argument("environment, " + variable + ": expected " + expected + ", found " + found);
}

/// Reads numbers and says which variable is wrong.
class Variables {
 public:
  explicit Variables(const Environment& environment) : environment_(environment) {}

  bool has(const char* name) const { return environment_(name).has_value(); }

  std::string text(const char* name, const std::string& otherwise) const {
    return environment_(name).value_or(otherwise);
  }

  int number(const char* name) const {
    const auto value = environment_(name);
    if (!value)
      refuse(name, "a number beside the launcher's other variables", "nothing");
    int number = 0;
    const char* last = value->data() + value->size();
    const auto [end, error] = std::from_chars(value->data(), last, number);
    if (error != std::errc() || end != last || number < 0)
      refuse(name, "a number of at least 0", "'" + *value + "'");
    return number;
  }

  int number(const char* name, int otherwise) const { return has(name) ? number(name) : otherwise; }

 private:
  const Environment& environment_;
};

struct Names {
  const char *launcher, *rank, *world, *local_rank, *local_world, *run;
};

constexpr Names kLaunchers[] = {
    {"torchrun", "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "TORCHELASTIC_RUN_ID"},
    {"slurm", "SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID", "SLURM_NTASKS_PER_NODE", "SLURM_JOB_ID"},
    {"openmpi", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK",
     "OMPI_COMM_WORLD_LOCAL_SIZE", "OMPI_MCA_ess_base_jobid"},
    {"pmi", "PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "MPI_LOCALNRANKS", "PMI_ID"}};

void find_store(RankIdentity& identity, const Variables& variables) {
  const bool one_machine = identity.world == 1 || identity.local_world == identity.world;
  if (variables.has("MASTER_ADDR"))
    identity.host = variables.text("MASTER_ADDR", "");
  else if (identity.launcher == "slurm" && variables.has("SLURM_NODELIST"))
    identity.host = first_host(variables.text("SLURM_NODELIST", ""));
  else if (!one_machine)
    refuse("MASTER_ADDR", "rank 0's host, since there are several machines", "nothing");
  // A job's ranks must agree on a port without talking; two jobs on a machine should not.
  const bool by_job = identity.launcher == "slurm" && !variables.has("MASTER_PORT");
  identity.port =
      by_job ? 15000 + variables.number("SLURM_JOB_ID", 0) % 20000 : variables.number("MASTER_PORT", 0);
  if (identity.world > 1 && (identity.port < 1 || identity.port > 65535))
    refuse("MASTER_PORT", "a port from 1 to 65535", std::to_string(identity.port));
  identity.store_is_up = variables.text("TORCHELASTIC_USE_AGENT_STORE", "") == "True";
}

}  // namespace

RankIdentity identity_from(const Environment& environment) {
  const Variables variables(environment);
  RankIdentity identity;
  for (const Names& names : kLaunchers) {
    if (!variables.has(names.rank) && !variables.has(names.world))
      continue;
    identity.launcher = names.launcher;
    identity.rank = variables.number(names.rank);
    identity.world = variables.number(names.world);
    if (identity.rank >= identity.world)
      refuse(names.rank, "a rank below " + std::string(names.world) + " " + std::to_string(identity.world),
             std::to_string(identity.rank));
    identity.local_rank = variables.number(names.local_rank, identity.rank);
    identity.local_world = variables.number(names.local_world, identity.world);
    identity.run = variables.text(names.run, "run") + "/" + variables.text("TORCHELASTIC_RESTART_COUNT", "0");
    find_store(identity, variables);
    return identity;
  }
  return identity;
}

std::optional<std::string> process_environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::nullopt : std::optional<std::string>(value);
}

std::string first_host(const std::string& node_list) {
  const std::size_t bracket = node_list.find('['), comma = node_list.find(',');
  if (bracket == std::string::npos || comma < bracket) {
    if (node_list.empty() || comma == 0)
      refuse("SLURM_NODELIST", "a list of hosts", "'" + node_list + "'");
    return node_list.substr(0, comma);
  }
  const std::size_t close = node_list.find(']', bracket), end = node_list.find_first_of(",-]", bracket);
  if (close == std::string::npos || end == bracket + 1)
    refuse("SLURM_NODELIST", "hosts as n[003-005]", "'" + node_list + "'");
  const std::size_t after = std::min(node_list.find(',', close), node_list.size());
  return node_list.substr(0, bracket) + node_list.substr(bracket + 1, end - bracket - 1) +
         node_list.substr(close + 1, after - close - 1);
}

}  // namespace assay::kernels::fsdp
