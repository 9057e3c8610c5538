// SPDX-License-Identifier: Apache-2.0
#include "suites/fsdp/training/job.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <map>
#include <system_error>

#include "harness/core/challenge.hpp"
#include "kernels/fsdp/launch/spawn.hpp"

namespace assay::suites::fsdp {

namespace fs = std::filesystem;
using nlohmann::json;

JobFolder::JobFolder() {
  std::string name = (fs::temp_directory_path() / "assay-fsdp-XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr)
    throw std::system_error(errno, std::generic_category(), "expected to make a folder " + name);
  path_ = name;
}
JobFolder::~JobFolder() {
  std::error_code error;
  fs::remove_all(path_, error);
}

fs::path rank_program() {
  const fs::path program = fs::read_symlink("/proc/self/exe").parent_path() / "fsdp_rank";
  if (!fs::exists(program))
    throw harness::Skip("expected the program " + program.string() +
                        ", found none; it is built with torch (-DASSAY_TORCH=ON)");
  return program;
}

namespace {

/// What a rank wrote; what it would have written had it got to it.
json report_of(const fs::path& folder, int rank) {
  std::ifstream in(folder / ("rank" + std::to_string(rank) + ".json"));
  json report = json::parse(in, nullptr, /*allow_exceptions=*/false);
  return report.is_object() ? report : json{{"error", "ended without a report"}};
}

std::vector<float> put_together(const std::vector<RankReport>& ranks,
                                std::vector<AdapterRun> RankReport::*runs) {
  std::map<std::string, std::map<std::int64_t, const std::vector<float>*>> by_name;
  for (const RankReport& rank : ranks)
    for (const AdapterRun& run : rank.*runs) by_name[run.name][run.first] = &run.values;
  std::vector<float> all;
  for (const auto& [name, pieces] : by_name) {
    std::int64_t next = 0;
    for (const auto& [first, values] : pieces) {
      if (first != next)
        throw std::runtime_error("expected element " + std::to_string(next) + " of adapter '" + name +
                                 "' from one rank, found " + std::to_string(first));
      next += std::ssize(*values);
      all.insert(all.end(), values->begin(), values->end());
    }
  }
  return all;
}

}  // namespace

std::vector<json> run_ranks(int world, const json& plan) {
  const JobFolder folder;
  const fs::path file = folder.path() / "plan.json";
  std::ofstream(file) << plan;
  const auto ends = kernels::fsdp::run_ranks({rank_program().string(), file.string(), folder.path().string()},
                                             {.ranks = world});
  std::vector<json> reports;
  std::string errors;
  for (int rank = 0; rank < world; ++rank) {
    reports.push_back(report_of(folder.path(), rank));
    const auto end = std::ranges::find(ends, rank, &kernels::fsdp::RankEnd::rank);
    if (const std::string error = reports.back().value("error", ""); !error.empty())
      errors += "rank " + std::to_string(rank) + " (" + end->how + "): " + error + "; ";
  }
  if (!errors.empty())
    throw std::runtime_error("expected " + std::to_string(world) + " ranks to end well, found " + errors);
  return reports;
}

std::vector<RankReport> run_training(int world, const RunPlan& plan) {
  std::vector<RankReport> reports;
  for (const json& report : run_ranks(world, plan)) reports.push_back(report.get<RankReport>());
  return reports;
}

TrainedRun whole(const std::vector<RankReport>& ranks) {
  return {.losses = ranks.at(0).losses,
          .start = put_together(ranks, &RankReport::start),
          .end = put_together(ranks, &RankReport::end)};
}

}  // namespace assay::suites::fsdp
