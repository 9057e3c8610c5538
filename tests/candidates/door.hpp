// SPDX-License-Identifier: Apache-2.0
// Runs the program on a candidate, as a user does, and reads what it recorded.
#pragma once

#include <string>

#include "harness/record/record.hpp"

namespace assay::tests {

struct Judged {
  int exit_status = -1;
  std::string printed;  ///< stdout and stderr
  harness::RecordFile file;
  /// The row of the last implementation, which is the candidate's; fails the test when there is none.
  const harness::Record& row() const;
};

/// `assay COMMAND` (a shell's words without program and --out) with records.
Judged judge(const std::string& command);
/// What `assay COMMAND` prints, stderr too; for commands without records.
std::string printed_by(const std::string& command, int* exit_status = nullptr);

/// The hostile library of that name, and the folder of the examples.
std::string hostile(const std::string& name);
std::string example(const std::string& file);
std::string source(const std::string& file);  ///< below tests/candidates/hostile
std::string python();
bool python_has_numpy();
std::string program();

/// --candidate on one small case of nf4/dequantize, verified on the CPU.
Judged verify_small(const std::string& candidate, const std::string& more = "");

}  // namespace assay::tests
