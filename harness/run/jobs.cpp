// SPDX-License-Identifier: Apache-2.0
#include "harness/run/jobs.hpp"

#include <algorithm>

#include "harness/core/registry.hpp"
#include "harness/run/nearest.hpp"

namespace assay::harness {
namespace {

std::string path_of(const Challenge& challenge, const Case& which, const Implementation& implementation) {
  return challenge.name + "/" + which.name + "/" + implementation.name;
}

}  // namespace

bool selected(const RunOptions& options, const Challenge& challenge, const Case& which,
              const Implementation& implementation) {
  if (implementation.role == Role::kMutant)
    return false;
  if (options.quick && !which.quick)
    return false;
  const bool named =
      std::any_of(options.filters.begin(), options.filters.end(), [&](const std::string& filter) {
        return filter.size() > challenge.name.size() &&
               matches({filter}, path_of(challenge, which, implementation));
      });
  if (which.on_request && !named)
    return false;
  return matches(options.filters, path_of(challenge, which, implementation));
}

std::vector<Job> jobs_on(DeviceKind device, const std::vector<Challenge>& challenges,
                         const RunOptions& options) {
  std::vector<Job> jobs;
  for (const Challenge& challenge : challenges) {
    for (const Case& which : challenge.cases) {
      if (std::find(which.devices.begin(), which.devices.end(), device) == which.devices.end())
        continue;
      Job job{&challenge, &which, {}};
      for (const Implementation& implementation : challenge.implementations) {
        if (implementation.device == device && selected(options, challenge, which, implementation)) {
          job.implementations.push_back(&implementation);
        }
      }
      if (!job.implementations.empty())
        jobs.push_back(std::move(job));
    }
  }
  return jobs;
}

std::string nothing_selected(const std::vector<Challenge>& challenges, const RunOptions& options) {
  RunOptions everything = options;
  everything.filters.clear();
  std::vector<std::string> names;
  for (const DeviceKind device : options.devices) {
    for (const Job& job : jobs_on(device, challenges, everything)) {
      for (const Implementation* implementation : job.implementations)
        names.push_back(path_of(*job.challenge, *job.which, *implementation));
    }
  }
  for (const Challenge& challenge : challenges) {
    for (const auto& check : challenge.checks) names.push_back(challenge.name + "/checks/" + check.name);
  }
  std::string text = "no case matches the filter on the chosen device";
  const std::string asked = options.filters.empty() ? "" : options.filters.front();
  for (const std::string& name : nearest_names(asked, names, 3)) text += "\n  near it: " + name;
  return text + "\n`assay list` shows what there is";
}

}  // namespace assay::harness
