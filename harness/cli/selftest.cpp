// SPDX-License-Identifier: Apache-2.0
// `selftest`: every wrong implementation must be rejected by the check it names, nothing right may be, same
// against same must not be resolved, and a planted slowdown must be seen.
#include "harness/selftest/selftest.hpp"

#include <fmt/format.h>

#include <optional>

#include "harness/cli/commands.hpp"
#include "harness/cli/progress.hpp"
#include "harness/cli/selection.hpp"
#include "harness/core/registry.hpp"
#include "harness/run/machine_checks.hpp"
#include "harness/selftest/scale.hpp"

namespace assay::harness::cli {
namespace {

struct Tally {
  int rows = 0, mutants = 0, bad = 0;
  bool ok = true;
};

void add(const SelftestResult& result, Tally& tally) {
  tally.ok = tally.ok && result.passed();
  for (const SelftestRow& row : result.rows) {
    ++tally.rows;
    tally.mutants += row.mutant ? 1 : 0;
    tally.bad += row.ok ? 0 : 1;
  }
}

Check selftest_check(const Tally& tally, const DeviceInfo& device, const std::string& command) {
  Check check{"harness", "harness/selftest", "selftest", tally.ok ? "passed" : "wrong", "", "",
              device,    provenance(command)};
  if (!tally.ok)
    check.reason = fmt::format("{} of {} rows are not as expected", tally.bad, tally.rows);
  check.evidence_json =
      fmt::format(R"({{"rows":{},"mutants":{},"not_as_expected":{}}})", tally.rows, tally.mutants, tally.bad);
  return check;
}

}  // namespace

int selftest(const Common& common, int noise_trials, const std::string& out) {
  const std::vector<DeviceKind> devices = devices_of(common);
  std::optional<RecordWriter> writer;
  if (!out.empty())
    writer.emplace(out);
  Tally tally;
  {
    Progress progress;
    const auto judge = [&](const Challenge& challenge) {
      const SelftestResult result = run_mutants(challenge, devices, [&](const SelftestRow& row) {
        progress.show(row.challenge + " " + row.implementation, tally.rows, tally.rows + 1);
      });
      progress.print(challenge.name + "\n" + selftest_table(result));
      add(result, tally);
    };
    judge(selftest::scale_challenge());
    for (const Challenge& challenge : Registry::instance().challenges()) {
      if (!challenge.cases.empty() && matches(common.filters, challenge.name))
        judge(challenge);
    }
  }
  for (const DeviceKind kind : devices) {
    const DeviceInfo device = describe(kind);
    const Check mutants = selftest_check(tally, device, common.command);
    const Check timing = timing_check(device, noise_trials);
    fmt::print("{}: {} {}\n", timing.check, timing.outcome,
               timing.reason.empty() ? timing.evidence_json : timing.reason);
    tally.ok = tally.ok && timing.outcome == "passed";
    if (writer)
      writer->write(mutants), writer->write(timing);
  }
  if (writer)
    writer->commit();
  fmt::print("selftest: {} of {} rows as expected, {} wrong implementations\n", tally.rows - tally.bad,
             tally.rows, tally.mutants);
  return tally.ok ? 0 : 1;
}

}  // namespace assay::harness::cli
