// SPDX-License-Identifier: Apache-2.0
// A training on several ranks of this machine: starts them, waits, reads what each reports.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "suites/fsdp/training/evidence.hpp"
#include "suites/fsdp/training/run_plan.hpp"

namespace assay::suites::fsdp {

/// A folder that is gone with the object.
class JobFolder {
 public:
  JobFolder();
  ~JobFolder();
  JobFolder(const JobFolder&) = delete;
  JobFolder& operator=(const JobFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

/// The program that is one rank, beside this one. Throws harness::Skip where it is not there.
std::filesystem::path rank_program();

/// Starts fsdp_rank `world` times with `plan` and gives each rank's report, rank 0's first. Throws
/// std::runtime_error with what the ranks say where one fails, harness::Skip without the program.
std::vector<nlohmann::json> run_ranks(int world, const nlohmann::json& plan);
std::vector<RankReport> run_training(int world, const RunPlan& plan);

/// The whole run: rank 0's losses, all ranks' adapters put together. Throws std::runtime_error where an
/// element of an adapter is missing.
TrainedRun whole(const std::vector<RankReport>& ranks);

}  // namespace assay::suites::fsdp
