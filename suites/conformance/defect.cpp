// SPDX-License-Identifier: Apache-2.0
#include "suites/conformance/defect.hpp"

#include <nlohmann/json.hpp>
#include <string_view>

#include "suites/conformance/text.hpp"

namespace assay::suites::conformance {

std::string Defect::name() const {
  const std::string_view project = report.project;
  return text(project.substr(project.find('/') + 1), "-", report.number);
}

std::string judge(const Defect& defect, const harness::DeviceFacts& facts) {
  if (defect.needs_gpu && facts.kind != harness::DeviceKind::kCuda)
    throw harness::Skip(defect.name() + " needs a GPU: " + defect.report.fault);
  try {
    defect.ours();
  } catch (const std::exception& error) {
    throw std::runtime_error(std::string("ours was rejected: ") + error.what());
  }
  try {
    if (defect.mended)
      defect.mended();
  } catch (const std::exception& error) {
    throw std::runtime_error(std::string("the mutant is rejected without its fault as well: ") +
                             error.what());
  }
  try {
    defect.mutant();
  } catch (const Rejected& rejected) {
    return nlohmann::ordered_json{{"project", defect.report.project},
                                  {"number", defect.report.number},
                                  {"fault", defect.report.fault},
                                  {"path", defect.report.path},
                                  {"ours", "passed"},
                                  {"mutant", "rejected"},
                                  {"mutant_was", rejected.what()}}
        .dump();
  } catch (const std::exception& error) {
    throw std::runtime_error(std::string("the mutant failed by accident, which shows nothing: ") +
                             error.what());
  }
  throw std::runtime_error("the mutant was accepted, so the case does not show the fault");
}

void demand(bool holds, const std::string& expected, const std::string& found) {
  if (!holds)
    throw Rejected("expected " + expected + ", found " + found);
}

void demand_error(const std::string& what, double error, double limit) {
  demand(error <= limit, text(what, " within ", limit, " of the truth"), text(error));
}

}  // namespace assay::suites::conformance
