// SPDX-License-Identifier: Apache-2.0
// conformance/upstream: no cases; a check a defect, and the paths they ask about.
#include <set>
#include <stdexcept>

#include "harness/core/registry.hpp"
#include "suites/conformance/defects.hpp"
#include "suites/conformance/paths.hpp"

namespace assay::suites::conformance {

std::vector<Defect> all_defects() {
  std::vector<Defect> out;
  std::set<std::string> names;
  for (const auto& list :
       {quantize_defects, dequantize_defects, storage_defects, checkpoint_defects, packing_defects,
        pointwise_defects, cross_entropy_defects, counting_defects, policy_defects, verification_defects}) {
    for (Defect& each : list()) {
      if (!names.insert(each.name()).second)
        throw std::logic_error("two defects of the name " + each.name());
      out.push_back(std::move(each));
    }
  }
  return out;
}

namespace {

harness::Challenge challenge() {
  harness::Challenge out;
  out.suite = "conformance";
  out.name = kChallenge;
  out.about = "Defects users reported upstream: ours must not have them, a mutant that has is rejected";
  out.checks_are_cases = true;
  for (const Defect& each : all_defects()) {
    out.checks.push_back({.name = each.name(),
                          .measures = false,
                          .subject = each.report.path,
                          .run = [each](const harness::DeviceFacts& facts) { return judge(each, facts); },
                          .about = each.report.fault});
  }
  out.implementations = paths();
  return out;
}

const harness::RegisterChallenge kThis(challenge);

}  // namespace
}  // namespace assay::suites::conformance
