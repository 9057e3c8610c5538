// SPDX-License-Identifier: Apache-2.0
// The wrong products are wrong in their fault alone, each is linked and rejected by the check it names, and
// everybody else passes every quick case.
#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "harness/device/device.hpp"
#include "harness/selftest/selftest.hpp"
#include "suites/nf4/matmul/mutants/mutant.hpp"

namespace assay::suites::nf4::matmul::mutants {
namespace {

using harness::Challenge;
using harness::DeviceKind;
using harness::Role;

const Challenge& challenge() {
  return harness::Registry::instance().challenge(kMatmul);
}

void expect_each_as_declared(DeviceKind device, const Challenge& judged) {
  const harness::SelftestResult result = harness::run_mutants(judged, {device});
  for (const harness::SelftestRow& row : result.rows)
    EXPECT_TRUE(row.ok) << row.implementation << " on " << row.case_name << ": expected " << row.expected
                        << ", found " << row.seen << ": " << row.reason;
  EXPECT_FALSE(result.rows.empty());
}

TEST(MatmulMutants, each_is_rejected_by_the_check_it_names_and_the_others_pass) {
  expect_each_as_declared(DeviceKind::kCpu, challenge());
}

TEST(GpuMatmulMutants, every_implementation_passes_the_quick_cases) {
  if (!harness::cuda_available())
    GTEST_SKIP() << harness::cuda_unavailable_reason();
  expect_each_as_declared(DeviceKind::kCuda, challenge());
}

TEST(MatmulMutants, every_file_is_linked) {
  const std::filesystem::path folder = std::filesystem::path(ASSAY_MUTANTS).parent_path() / "matmul/mutants";
  if (!std::filesystem::exists(folder))
    GTEST_SKIP() << "the sources are not on this machine";
  std::set<std::string> files, names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string stem = entry.path().stem().string();
    if (entry.path().extension() == ".cpp" && stem != "mutant" && !stem.ends_with("_test"))
      files.insert(stem);
  }
  for (const harness::Implementation& each : challenge().implementations)
    if (each.role == Role::kMutant)
      names.insert(each.name);
  EXPECT_EQ(names, files);
}

/// A mutant without a fault would pass everywhere: what they share is right.
TEST(MatmulMutants, the_steps_they_share_are_right) {
  Challenge judged = challenge();
  std::erase_if(judged.implementations, [](const auto& each) { return each.role != Role::kBaseline; });
  harness::Implementation right = mutant_by_steps<PlainSteps>("right", "");
  right.role = Role::kCandidate;
  judged.implementations.push_back(right);
  expect_each_as_declared(DeviceKind::kCpu, judged);
}

}  // namespace
}  // namespace assay::suites::nf4::matmul::mutants
