// SPDX-License-Identifier: Apache-2.0
// Each wrong implementation is linked; that each is rejected by the check it names is asserted together with
// the right ones (pointwise/suite_test.cpp).
#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "harness/core/registry.hpp"

namespace assay::suites::compile::mutants {
namespace {

TEST(CompileMutants, every_file_is_linked_for_both_devices) {
  const std::filesystem::path folder = ASSAY_MUTANTS;
  if (!std::filesystem::exists(folder))
    GTEST_SKIP() << "the sources are not on this machine";
  std::set<std::string> expected, found;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string stem = entry.path().stem().string();
    if (stem != "mutant" && !stem.ends_with("_test"))
      expected.insert({stem, stem + "_cpu"});
  }
  for (const harness::Challenge& challenge : harness::Registry::instance().challenges()) {
    for (const harness::Implementation& each : challenge.implementations) {
      if (challenge.suite == "compile" && each.role == harness::Role::kMutant)
        found.insert(each.name);
    }
  }
  EXPECT_EQ(found, expected);
}

}  // namespace
}  // namespace assay::suites::compile::mutants
