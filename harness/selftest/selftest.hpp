// SPDX-License-Identifier: Apache-2.0
// The checker checked: every stored wrong implementation of a challenge must be rejected by the check it
// names, and every other implementation must pass.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "harness/core/challenge.hpp"

namespace assay::harness {

struct SelftestRow {
  std::string challenge, case_name, implementation;
  DeviceKind device = DeviceKind::kCpu;
  bool mutant = false;
  std::string expected;  ///< name of a check, or "passed"
  std::string seen;      ///< name of the check that rejected it, or an outcome's name
  std::string reason;
  bool ok = false;
};

struct SelftestResult {
  std::vector<SelftestRow> rows;
  /// Every row is as expected and at least one mutant was judged: nothing ran is a failure.
  bool passed() const;
};

/// Mutants run on the first quick case they support (`Implementation::unsupported` chooses where the fault
/// shows), others on every quick case. A Failed outcome counts as run_error. Others may be skipped, mutants
/// may not. `on_row` is told each row as it is known.
SelftestResult run_mutants(const Challenge& challenge, const std::vector<DeviceKind>& devices,
                           const std::function<void(const SelftestRow&)>& on_row = {});

/// Aligned columns: implementation, device, case, expected, seen, verdict; reasons only where a row is not as
/// expected.
std::string selftest_table(const SelftestResult& result);

}  // namespace assay::harness
