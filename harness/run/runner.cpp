// SPDX-License-Identifier: Apache-2.0
#include "harness/run/runner.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "harness/core/interrupt.hpp"
#include "harness/core/registry.hpp"
#include "harness/record/provenance.hpp"
#include "harness/run/case_run.hpp"
#include "harness/run/jobs.hpp"
#include "harness/run/machine_checks.hpp"
#include "harness/run/prepare.hpp"

namespace assay::harness {
namespace {

/// Collects what a build made of PTX proves: that code path's bits on every case.
struct PtxProof {
  std::string arch;
  std::int64_t cases = 0, mismatches = 0, not_passed = 0;
  std::map<std::string, std::string> sources;  ///< implementation → digest: which code was proved
};

class Run {
 public:
  Run(const RunOptions& options, const RunEvents& events) : options_(options), events_(events) {}

  RunSummary on(const std::vector<Challenge>& challenges) {
    std::vector<std::pair<DeviceKind, std::vector<Job>>> work;
    for (const DeviceKind device : options_.devices)
      work.emplace_back(device, jobs_on(device, challenges, options_));
    for (const auto& [device, jobs] : work) total_ += static_cast<int>(jobs.size());
    if (total_ == 0 && !any_check_named(challenges)) {
      throw UsageError(nothing_selected(challenges, options_));
    }
    for (const auto& [device, jobs] : work) {
      if (!jobs.empty() || total_ == 0)
        on_device(device, jobs, challenges);
    }
    return summary_;
  }

 private:
  bool any_check_named(const std::vector<Challenge>& challenges) const {
    for (const Challenge& challenge : challenges) {
      for (const auto& suite_check : challenge.checks) {
        if ((!options_.filters.empty() || challenge.checks_are_cases) &&
            check_selected(challenge, suite_check.name, {}))
          return true;
      }
    }
    return false;
  }

  void on_device(DeviceKind kind, const std::vector<Job>& jobs, const std::vector<Challenge>& challenges) {
    find_versions(jobs);
    const DeviceInfo device = describe(kind);
    std::optional<Ceilings> ceilings;
    if (options_.measure) {
      tell("measuring what this machine can do");
      ceilings = measure_ceilings(device);
      emit(ceilings_check(device, *ceilings));
      tell("measuring the noise of this machine");
      emit(noise_check(device, options_.noise_trials, options_.graph));
    }
    for (const Job& job : jobs) {
      throw_if_interrupted();
      one_case(job, device, ceilings);
      ++done_;
    }
    for (const auto& [name, proof] : proofs_) emit(ptx_check(name, proof, device));
    proofs_.clear();
    for (const Challenge& challenge : challenges) suite_checks(challenge, jobs, device);
  }

  /// Before anything else, because asking starts what the peers need: an interpreter that imports torch late,
  /// when libtorch's autograd has run already, leaves autograd without the GPU's queue.
  void find_versions(const std::vector<Job>& jobs) {
    for (const Job& job : jobs) {
      for (const Implementation* implementation : job.implementations) {
        if (!implementation->find_version || versions_.contains(implementation))
          continue;
        tell("starting " + implementation->name);
        try {
          versions_[implementation] = implementation->find_version();
        } catch (const std::exception&) {
          versions_[implementation] = "";  // not installed: preparing it says so and skips its rows
        }
      }
    }
  }

  void one_case(const Job& job, const DeviceInfo& device, const std::optional<Ceilings>& ceilings) {
    const std::string name = job.challenge->name + "/" + job.which->name;
    CaseRun run(*job.challenge, *job.which, device, options_, ceilings,
                [&](const std::string& step) { tell(name + " " + step); });
    for (auto& [implementation, outcome] : run.run(job.implementations)) {
      emit(record_of(job, device, *implementation, std::move(outcome)));
    }
  }

  Record record_of(const Job& job, const DeviceInfo& device, const Implementation& implementation,
                   Outcome outcome) {
    Record record;
    record.suite = job.challenge->suite;
    record.challenge = job.challenge->name;
    record.case_name = job.which->name;
    record.implementation = implementation.name;
    record.role = implementation.role;
    record.device = device;
    const bool ran = !std::holds_alternative<Skipped>(outcome);
    record.target_arch = device.arch;
    record.target_mode = device.kind == DeviceKind::kCpu ? "cpu" : "sass";
    if (ran && implementation.target)
      std::tie(record.target_arch, record.target_mode) = implementation.target();
    record.outcome = std::move(outcome);
    record.provenance = provenance(options_.command);
    record.provenance.sources_sha256 = implementation.sources.empty()
                                           ? implementation.judged_sha256
                                           : sources_sha256(implementation.sources);
    record.provenance.seed = job.which->seed;
    record.version = implementation.version;
    if (const auto found = versions_.find(&implementation); ran && found != versions_.end())
      record.version = found->second;
    record.input_source = job.which->source;
    return record;
  }

  /// Those of the challenges that have jobs; where filters name checks, those and no others.
  bool check_selected(const Challenge& challenge, const std::string& name,
                      const std::vector<Job>& jobs) const {
    const auto names_checks = [](const std::string& filter) {
      return filter.find("/checks") != std::string::npos;
    };
    const auto& filters = options_.filters;
    if (challenge.checks_are_cases || std::any_of(filters.begin(), filters.end(), names_checks))
      return matches(filters, challenge.name + "/checks/" + name);
    return std::any_of(jobs.begin(), jobs.end(), [&](const Job& job) { return job.challenge == &challenge; });
  }

  void suite_checks(const Challenge& challenge, const std::vector<Job>& jobs, const DeviceInfo& device) {
    for (const auto& suite_check : challenge.checks) {
      if ((suite_check.measures && !options_.measure) || !check_selected(challenge, suite_check.name, jobs))
        continue;
      throw_if_interrupted();
      tell(challenge.name + " check " + suite_check.name);
      Check check{challenge.suite,
                  challenge.name,
                  suite_check.name,
                  "passed",
                  "",
                  "{}",
                  device,
                  provenance(options_.command)};
      if (!suite_check.subject.empty()) {
        const Implementation& subject = implementation_named(challenge, suite_check.subject);
        check.provenance.sources_sha256 = sources_sha256(subject.sources);
      }
      try {
        check.evidence_json = suite_check.run(device.facts());
      } catch (const Skip& skip) {
        check.outcome = "skipped", check.reason = skip.what();
      } catch (const std::exception& error) {
        check.outcome = "wrong", check.reason = error.what();
      }
      emit(check);
    }
  }

  Check ptx_check(const std::string& key, const PtxProof& proof, const DeviceInfo& device) {
    const std::string challenge = key.substr(0, key.find(' '));
    Check check{challenge.substr(0, challenge.find('/')),
                challenge,
                proof.arch + "_ptx",
                "passed",
                "",
                "{}",
                device,
                provenance(options_.command)};
    check.evidence_json = nlohmann::json{
        {"mismatches", proof.mismatches},
        {"cases", proof.cases},
        {"not_passed", proof.not_passed},
        {"sources",
         proof.sources}}.dump();
    if (proof.mismatches != 0 || proof.not_passed != 0) {
      check.outcome = "wrong";
      check.reason = "not every case of the code path passed";
    }
    return check;
  }

  void note_ptx(const Record& record) {
    if (record.target_mode != "ptx_jit" || record.role != Role::kCandidate)
      return;
    if (std::holds_alternative<Skipped>(record.outcome))
      return;
    std::string arch = record.target_arch;
    arch.erase(std::remove(arch.begin(), arch.end(), '_'), arch.end());
    PtxProof& proof = proofs_[record.challenge + " " + arch];
    proof.arch = arch;
    ++proof.cases;
    proof.sources[record.implementation] = record.provenance.sources_sha256;
    if (const auto* passed = std::get_if<Passed>(&record.outcome)) {
      proof.mismatches += passed->parity.mismatches;
    } else {
      ++proof.not_passed;
    }
  }

  void emit(const Record& record) {
    const std::string outcome = outcome_name(record.outcome);
    if (outcome == "passed")
      ++summary_.passed;
    else if (outcome == "skipped")
      ++summary_.skipped;
    else
      ++summary_.not_passed;
    note_ptx(record);
    if (events_.record)
      events_.record(record);
  }
  void emit(const Check& check) {
    if (check.outcome == "passed")
      ++summary_.checks_passed;
    else if (check.outcome != "skipped")
      ++summary_.not_passed;
    if (events_.check)
      events_.check(check);
  }
  void tell(const std::string& what) {
    if (events_.progress)
      events_.progress(what, done_, total_);
  }

  const RunOptions& options_;
  const RunEvents& events_;
  RunSummary summary_;
  std::map<std::string, PtxProof> proofs_;
  std::map<const Implementation*, std::string> versions_;
  int done_ = 0, total_ = 0;
};

}  // namespace

RunOptions::RunOptions() {
  cold.budget_seconds = 1.0, cold.max_pairs = 40;
  wall.budget_seconds = 1.0, wall.max_pairs = 40;
}

RunSummary run(const std::vector<Challenge>& challenges, const RunOptions& options, const RunEvents& events) {
  return Run(options, events).on(challenges);
}

}  // namespace assay::harness
