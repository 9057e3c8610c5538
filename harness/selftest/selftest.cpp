// SPDX-License-Identifier: Apache-2.0
// Runs verify over every implementation of a challenge and holds its verdicts against what is known.
#include "harness/selftest/selftest.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "harness/device/device.hpp"
#include "harness/verify/verify.hpp"

namespace assay::harness {
namespace {

/// One quick case on one device: inputs, oracles and the baseline's errors, shared by all implementations.
class CaseBench {
 public:
  CaseBench(const Challenge& challenge, const Case& which, DeviceKind device, const DeviceFacts& facts)
      : challenge_(challenge),
        which_(which),
        inputs_(challenge.make_inputs(which, which.seed)),
        second_inputs_(challenge.make_inputs(which, which.seed + 1)),
        oracle_(challenge.oracle(which, inputs_)),
        second_oracle_(challenge.oracle(which, second_inputs_)) {
    if (!challenge.parity.exact) {
      find_baseline(device, facts);
    }
  }

  Outcome judge(const Implementation& implementation) const {
    const BaselineErrors* against =
        baseline_ && implementation.role != Role::kBaseline ? &*baseline_ : nullptr;
    return judge_against(implementation, against).outcome;
  }

 private:
  void find_baseline(DeviceKind device, const DeviceFacts& facts) {
    for (const Implementation& implementation : challenge_.implementations) {
      const bool runs = implementation.role == Role::kBaseline && implementation.device == device &&
                        !(implementation.unsupported && implementation.unsupported(which_, facts));
      if (!runs) {
        continue;
      }
      VerifyResult result = judge_against(implementation, nullptr);
      if (std::holds_alternative<Passed>(result.outcome)) {
        baseline_ = std::move(result.errors);
        return;
      }
    }
  }

  VerifyResult judge_against(const Implementation& implementation, const BaselineErrors* baseline) const {
    return verify(challenge_, which_, implementation, inputs_, second_inputs_, oracle_, second_oracle_,
                  baseline);
  }

  const Challenge& challenge_;
  const Case& which_;
  TensorSet inputs_, second_inputs_;
  Oracle oracle_, second_oracle_;
  std::optional<BaselineErrors> baseline_;
};

std::string seen_in(const Outcome& outcome) {
  if (const auto* wrong = std::get_if<Wrong>(&outcome)) {
    return wrong->check;
  }
  const auto* failed = std::get_if<Failed>(&outcome);
  const bool by_running = failed != nullptr && failed->reason.starts_with(checks::kRunError);
  return by_running ? checks::kRunError : outcome_name(outcome);
}

SelftestRow row_for(const Challenge& challenge, const Implementation& implementation,
                    const std::string& case_name) {
  const bool mutant = implementation.role == Role::kMutant;
  return {.challenge = challenge.name,
          .case_name = case_name,
          .implementation = implementation.name,
          .device = implementation.device,
          .mutant = mutant,
          .expected = mutant ? implementation.expected_check : "passed",
          .seen = {},
          .reason = {},
          .ok = false};
}

class Selftest {
 public:
  Selftest(const Challenge& challenge, const std::function<void(const SelftestRow&)>& on_row)
      : challenge_(challenge), on_row_(on_row) {}

  void run_device(DeviceKind device) {
    const DeviceFacts facts = describe(device).facts();
    std::set<const Implementation*> judged;
    for (const Case& which : challenge_.cases) {
      const bool here = std::find(which.devices.begin(), which.devices.end(), device) != which.devices.end();
      if (which.quick && here) {
        run_case(which, device, facts, judged);
      }
    }
    for (const Implementation& implementation : challenge_.implementations) {
      if (implementation.role == Role::kMutant && implementation.device == device &&
          !judged.count(&implementation)) {
        SelftestRow row = row_for(challenge_, implementation, "");
        row.seen = "not run";
        row.reason = "no quick case is supported; add one that shows the fault";
        add(std::move(row));
      }
    }
  }

  SelftestResult result;

 private:
  void run_case(const Case& which, DeviceKind device, const DeviceFacts& facts,
                std::set<const Implementation*>& judged) {
    std::optional<CaseBench> bench;
    for (const Implementation& implementation : challenge_.implementations) {
      const bool due = implementation.role != Role::kMutant || !judged.count(&implementation);
      const bool runs = implementation.device == device && due &&
                        !(implementation.unsupported && implementation.unsupported(which, facts));
      if (!runs) {
        continue;
      }
      if (!bench) {
        bench.emplace(challenge_, which, device, facts);
      }
      judged.insert(&implementation);
      judge(*bench, implementation, which);
    }
  }

  void judge(const CaseBench& bench, const Implementation& implementation, const Case& which) {
    const Outcome outcome = bench.judge(implementation);
    SelftestRow row = row_for(challenge_, implementation, which.name);
    row.seen = seen_in(outcome);
    row.reason = outcome_reason(outcome);
    row.ok = row.seen == row.expected || (!row.mutant && std::holds_alternative<Skipped>(outcome));
    add(std::move(row));
  }

  void add(SelftestRow row) {
    result.rows.push_back(std::move(row));
    if (on_row_) {
      on_row_(result.rows.back());
    }
  }

  const Challenge& challenge_;
  const std::function<void(const SelftestRow&)>& on_row_;
};

std::size_t widest(const std::vector<std::vector<std::string>>& lines, std::size_t column) {
  std::size_t width = 0;
  for (const auto& line : lines) {
    width = std::max(width, line[column].size());
  }
  return width;
}

}  // namespace

bool SelftestResult::passed() const {
  const auto is_ok = [](const SelftestRow& row) { return row.ok; };
  const auto is_mutant = [](const SelftestRow& row) { return row.mutant; };
  return std::all_of(rows.begin(), rows.end(), is_ok) && std::any_of(rows.begin(), rows.end(), is_mutant);
}

SelftestResult run_mutants(const Challenge& challenge, const std::vector<DeviceKind>& devices,
                           const std::function<void(const SelftestRow&)>& on_row) {
  Selftest selftest(challenge, on_row);
  for (const DeviceKind device : devices) {
    selftest.run_device(device);
  }
  return std::move(selftest.result);
}

std::string selftest_table(const SelftestResult& result) {
  std::vector<std::vector<std::string>> lines = {
      {"implementation", "device", "case", "expected", "seen", ""}};
  for (const SelftestRow& row : result.rows) {
    lines.push_back({row.challenge + "/" + row.implementation, std::string(name_of(row.device)),
                     row.case_name, row.expected, row.seen,
                     row.ok ? "ok" : "NOT AS EXPECTED: " + row.reason});
  }
  std::string text;
  for (const auto& line : lines) {
    for (std::size_t column = 0; column + 1 < line.size(); ++column) {
      text += fmt::format("{:<{}}  ", line[column], widest(lines, column));
    }
    text += line.back();
    text.erase(text.find_last_not_of(' ') + 1);
    text += '\n';
  }
  return text;
}

}  // namespace assay::harness
