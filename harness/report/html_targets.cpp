// SPDX-License-Identifier: Apache-2.0
// SM targets on the page: where code ran, and what it was built to.
#include <fmt/format.h>

#include "harness/report/html_parts.hpp"
#include "harness/report/html_sections.hpp"
#include "harness/report/targets.hpp"

namespace assay::harness::report {

std::string target_section(const DeviceBoard& device) {
  std::string runs, code;
  for (const TargetRun& run : target_runs(device)) {
    runs += "<tr>" + cell(run.arch, "name") + cell(run.mode) + cell(run.challenge) +
            cell(std::to_string(run.passed), "figure") + cell(std::to_string(run.not_passed), "figure") +
            cell(std::to_string(run.timed), "figure") +
            cell(fmt::format("{}", fmt::join(run.implementations, ", "))) + "</tr>\n";
  }
  for (const TargetCode& built : target_code(device)) {
    code += "<tr>" + cell(built.arch, "name") + cell(built.challenge) + cell(built.kernels, "figure") +
            cell(built.registers, "figure") + cell(built.spills) + cell(built.load, "figure") +
            cell(built.store, "figure") + cell(built.matrix) + cell(built.hints) + "</tr>\n";
  }
  std::string text;
  if (!runs.empty()) {
    text += "<h3>Targets: how it ran</h3>" +
            table_head({"Target", "Mode", "Challenge", ">Passed", ">Did not", ">Timed", "Candidates"}) +
            runs + kTableEnd;
  }
  if (!code.empty()) {
    text += "<h3>Targets: what was built</h3>" +
            table_head({"Target", "Challenge", ">Kernels", ">Registers, most", "Spilled", ">Widest load",
                        ">Widest store", "Matrix instructions", "Cache hints"}) +
            code + kTableEnd;
  }
  return text;
}

}  // namespace assay::harness::report
