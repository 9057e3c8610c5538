// SPDX-License-Identifier: Apache-2.0
#include "harness/report/rubrics.hpp"

namespace assay::harness {
namespace {

std::vector<std::function<Rubric()>>& makers() {
  static std::vector<std::function<Rubric()>> all;
  return all;
}

}  // namespace

RegisterRubric::RegisterRubric(std::function<Rubric()> make) {
  makers().push_back(std::move(make));
}

std::vector<Rubric> rubrics() {
  std::vector<Rubric> out;
  for (const auto& make : makers()) out.push_back(make());
  return out;
}

}  // namespace assay::harness
