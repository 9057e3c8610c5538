// SPDX-License-Identifier: Apache-2.0
// One case on one device: all selected implementations, from verification to records. Internal to this room.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "harness/core/outside.hpp"
#include "harness/run/prepare.hpp"
#include "harness/run/runner.hpp"
#include "harness/verify/verify.hpp"

namespace assay::harness {

class CaseRun {
 public:
  CaseRun(const Challenge& challenge, const Case& which, const DeviceInfo& device, const RunOptions& options,
          const std::optional<Ceilings>& ceilings, std::function<void(const std::string&)> progress);

  /// In the order of the registry: baselines, candidates, peers.
  std::vector<std::pair<const Implementation*, Outcome>> run(
      const std::vector<const Implementation*>& implementations);

 private:
  struct Side;
  void verify_all(const std::vector<const Implementation*>& implementations);
  void measure_all(const std::vector<const Implementation*>& implementations);
  const Implementation* choose_baseline(const std::vector<const Implementation*>& implementations);
  static bool timed_in(TimeMode mode, const Side& side, DeviceKind device);
  void baseline_ended(const RowEnded& ended, const std::vector<const Implementation*>& implementations);
  void measure_one(const Implementation& implementation, Side& baseline, bool first);
  std::optional<std::string> too_fast(Passed& passed);
  void time_modes(const Implementation& implementation, Side& candidate, Side& baseline, Passed& passed);
  Outcome& outcome_of(const Implementation& implementation) { return outcomes_.at(implementation.name); }
  Passed* passed_of(const Implementation& implementation);

  const Challenge& challenge_;
  const Case& case_;
  const DeviceInfo& device_;
  const RunOptions& options_;
  const std::optional<Ceilings>& ceilings_;
  std::function<void(const std::string&)> progress_;
  std::map<std::string, Outcome> outcomes_;
  std::vector<TensorSet> inputs_;
  std::optional<Memory> baseline_memory_;
};

}  // namespace assay::harness
