// SPDX-License-Identifier: Apache-2.0
// The wrong implementations are wrong in their fault alone, each is linked, and each is rejected by the check
// it names.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <set>

#include "harness/device/device.hpp"
#include "harness/selftest/selftest.hpp"
#include "suites/nf4/mutants/plain_cpu.hpp"

namespace assay::suites::nf4::mutants {
namespace {

using harness::Challenge;
using harness::DeviceKind;
using harness::Dtype;
using harness::Role;

const Challenge& dequantize_challenge() {
  return harness::Registry::instance().challenge(kDequantize);
}

/// The challenge with its mutants alone.
Challenge only_mutants() {
  Challenge challenge = dequantize_challenge();
  std::erase_if(challenge.implementations, [](const auto& each) { return each.role != Role::kMutant; });
  return challenge;
}

void expect_each_rejected_by_its_check(DeviceKind device) {
  const harness::SelftestResult result = harness::run_mutants(only_mutants(), {device});
  EXPECT_TRUE(result.passed()) << harness::selftest_table(result);
}

TEST(Mutants, each_is_rejected_by_the_check_it_names) {
  expect_each_rejected_by_its_check(DeviceKind::kCpu);
}

TEST(GpuMutants, each_is_rejected_by_the_check_it_names) {
  if (!harness::cuda_available()) {
    GTEST_SKIP() << harness::cuda_unavailable_reason();
  }
  expect_each_rejected_by_its_check(DeviceKind::kCuda);
}

/// "no_op.cpp" holds no_op_cpu, "no_op_cuda.cu" holds no_op_cuda.
std::set<std::string> names_by_files(const std::filesystem::path& folder) {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string stem = entry.path().stem().string();
    const std::string extension = entry.path().extension().string();
    if (extension == ".cu") {
      names.insert(stem);
    } else if (extension == ".cpp" && stem != "mutant" && !stem.ends_with("_test")) {
      names.insert(stem + "_cpu");
    }
  }
  return names;
}

TEST(Mutants, every_file_is_linked) {
  const std::filesystem::path folder = ASSAY_MUTANTS;
  if (!std::filesystem::exists(folder)) {
    GTEST_SKIP() << "the sources are not on this machine";
  }
  std::set<std::string> names;
  for (const auto& implementation : only_mutants().implementations) {
    names.insert(implementation.name);
  }
  EXPECT_EQ(names, names_by_files(folder));
}

/// A random nested case of `count` weights.
struct RandomCase {
  DequantizeCase parameters;
  harness::Case which;
  harness::TensorSet inputs;

  RandomCase(std::int64_t count, Dtype dtype)
      : parameters(vector_of(count, dtype)), which(make_case()), inputs(make_inputs()) {}

  template <class Steps>
  std::vector<std::byte> dequantize() const {
    harness::TensorSet out(DeviceKind::kCpu);
    const harness::TensorView& weight = out.add({"weight", parameters.dtype, {1, parameters.cols}});
    dequantize_plain<Steps>(packed_weights(parameters, inputs), weight, 0, parameters.cols);
    return {weight.as<std::byte>(), weight.as<std::byte>() + weight.bytes()};
  }

 private:
  static DequantizeCase vector_of(std::int64_t count, Dtype dtype) {
    DequantizeCase made;
    made.rows = 1;
    made.cols = count;
    made.dtype = dtype;
    return made;
  }
  harness::Case make_case() const {
    harness::Case made;
    made.parameters = parameters;
    return made;
  }
  harness::TensorSet make_inputs() const { return dequantize_challenge().make_inputs(which, 5); }
};

struct FusedSteps : PlainSteps {
  static float absmax(const PackedWeights& w, std::int64_t block) {
    return std::fmaf(w.nested_code[w.absmax_codes[block]], w.nested_absmax[block / w.nested_block_size],
                     *w.nested_offset);
  }
};

std::vector<float> as_floats(const std::vector<std::byte>& bytes) {
  std::vector<float> values(bytes.size() / sizeof(float));
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

class InDtype : public testing::TestWithParam<Dtype> {};

TEST_P(InDtype, the_steps_that_mutants_share_are_right) {
  const std::int64_t count = 70001;
  const RandomCase random(count, GetParam());
  std::vector<std::byte> expected(static_cast<std::size_t>(count) * harness::size_of(GetParam()));
  dequantize_challenge().oracle(random.which, random.inputs).exact("weight", 0, count, expected.data());
  EXPECT_EQ(random.dequantize<PlainSteps>(), expected);
}

INSTANTIATE_TEST_SUITE_P(Mutants, InDtype,
                         testing::Values(Dtype::kFloat16, Dtype::kBfloat16, Dtype::kFloat32),
                         [](const auto& tested) { return std::string(harness::name_of(tested.param)); });

TEST(Mutants, fma_in_absmax_shows_in_the_smallest_case_it_is_judged_on) {
  const RandomCase random(Needs{}.min_weights, Dtype::kFloat32);
  const std::vector<float> right = as_floats(random.dequantize<PlainSteps>());
  const std::vector<float> fused = as_floats(random.dequantize<FusedSteps>());
  std::int64_t different = 0, far = 0;
  for (std::size_t i = 0; i < right.size(); ++i) {
    different += right[i] != fused[i];
    far += std::fabs(right[i] - fused[i]) > 1e-6f * std::fabs(right[i]);
  }
  EXPECT_GT(different, 0);
  EXPECT_EQ(far, 0) << "it differs in last bits only, so a tolerance would let it through";
}

}  // namespace
}  // namespace assay::suites::nf4::mutants
