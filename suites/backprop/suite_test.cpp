// SPDX-License-Identifier: Apache-2.0
// The suite itself: its cases are well-formed, its oracles agree with each other and with the plain version
// in f64, and every implementation passes every quick case.
#include <ATen/Parallel.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "harness/core/registry.hpp"
#include "harness/device/device.hpp"
#include "harness/selftest/selftest.hpp"
#include "suites/backprop/case_tensors.hpp"
#include "suites/backprop/rubric.hpp"

namespace assay::suites::backprop {
namespace {

/// Tensors of some thousand elements: a second thread only waits for the first, for minutes where the machine
/// is busy.
const bool kOneThread = (at::set_num_threads(1), true);

using harness::Case;
using harness::Challenge;
using harness::DeviceKind;
using harness::TensorSpec;

std::vector<const Challenge*> challenges() {
  std::vector<const Challenge*> out;
  for (const Challenge& challenge : harness::Registry::instance().challenges()) {
    if (challenge.suite == "backprop")
      out.push_back(&challenge);
  }
  return out;
}

std::int64_t numel(const TensorSpec& spec) {
  return std::accumulate(spec.shape.begin(), spec.shape.end(), std::int64_t{1}, std::multiplies<>());
}

std::vector<double> all_of(const harness::Oracle& oracle, const TensorSpec& spec) {
  std::vector<double> values(static_cast<std::size_t>(numel(spec)));
  oracle.truth(spec.name, 0, values);
  return values;
}

/// ‖a − b‖ ≤ 1e-11·‖b‖: sums of some thousand f64 numbers in different orders.
void expect_same(const std::vector<double>& a, const std::vector<double>& b, const std::string& what) {
  ASSERT_EQ(a.size(), b.size()) << what;
  double error = 0.0, norm = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    error += (a[i] - b[i]) * (a[i] - b[i]);
    norm += b[i] * b[i];
  }
  EXPECT_LE(std::sqrt(error), 1e-11 * std::sqrt(norm)) << what;
}

TEST(BackpropSuite, cases_are_well_formed) {
  EXPECT_EQ(challenges().size(), std::size(kLossKinds));
  for (const Challenge* challenge : challenges()) {
    std::set<harness::Dtype> dtypes;
    bool timed = false;
    for (const Case& which : challenge->cases) {
      const BackpropCase& c = parameters_of(which);
      EXPECT_EQ(challenge->name, challenge_name(c.loss)) << which.name;
      EXPECT_EQ(c.rows % c.sequences, 0) << which.name;
      EXPECT_NE(which.quick, which.measured) << which.name;
      if (which.quick) {
        EXPECT_NE(c.rows % 64, 0) << which.name << ": the last chunk must be a smaller one";
        EXPECT_EQ(c.vocab % 2, 1) << which.name;
        dtypes.insert(c.dtype);
      }
      timed |= which.measured;
    }
    EXPECT_EQ(dtypes.size(), 3u) << challenge->name << " is judged in f16, bf16 and f32";
    EXPECT_TRUE(timed) << challenge->name;
  }
}

TEST(BackpropSuite, the_cases_that_the_rubric_names_exist_and_are_measured_on_a_gpu) {
  for (const auto& [loss, name] :
       {std::pair(LossKind::kCrossEntropy, kMemoryCase), std::pair(LossKind::kGrpo, kGrpoCase)}) {
    const auto cases = cases_of(loss);
    const auto found =
        std::find_if(cases.begin(), cases.end(), [&](const Case& each) { return each.name == name; });
    ASSERT_NE(found, cases.end()) << name;
    EXPECT_TRUE(found->measured) << name;
    EXPECT_THAT(found->devices, testing::ElementsAre(DeviceKind::kCuda)) << name;
  }
}

TEST(BackpropSuite, inputs_make_a_problem_that_wrong_answers_fail) {
  for (const Challenge* challenge : challenges()) {
    for (const Case& which : challenge->cases) {
      const BackpropCase& c = parameters_of(which);
      if (!which.quick || c.ignored == Ignored::kAll)
        continue;
      const harness::TensorSet inputs = make_inputs(which, which.seed);
      for (std::int64_t i = 0; i < inputs.at("upstream").numel(); ++i)
        EXPECT_GE(std::fabs(inputs.at("upstream").as<float>()[i]), 1.25f) << which.name;
      const harness::Oracle oracle = scalar_oracle(c, inputs);
      for (const TensorSpec& spec : outputs_of(c)) {
        double largest = 0.0;
        for (const double value : all_of(oracle, spec)) largest = std::max(largest, std::fabs(value));
        EXPECT_GT(largest, 1e-4) << challenge->name << " " << which.name << " " << spec.name;
        EXPECT_LT(largest, 1e4) << challenge->name << " " << which.name << " " << spec.name;
      }
    }
  }
}

TEST(BackpropSuite, scalar_oracle_tensor_oracle_and_plain_version_in_f64_agree) {
  int compared = 0;
  for (const Challenge* challenge : challenges()) {
    for (const Case& which : challenge->cases) {
      const BackpropCase& c = parameters_of(which);
      if (!which.quick)
        continue;
      const harness::TensorSet inputs = make_inputs(which, which.seed);
      const harness::Oracle scalar = scalar_oracle(c, inputs), tensors = tensor_oracle(c, inputs);
      const auto plain = loss_and_gradients(c, in_f64(tensors_of(c, inputs)), naive_loss);
      const auto specs = outputs_of(c);
      ASSERT_EQ(plain.size(), specs.size());
      for (std::size_t i = 0; i < specs.size(); ++i) {
        const std::string what = challenge->name + " " + which.name + " " + specs[i].name;
        const std::vector<double> truth = all_of(scalar, specs[i]);
        expect_same(all_of(tensors, specs[i]), truth, "tensor oracle of " + what);
        const at::Tensor flat = plain[i].contiguous();
        ASSERT_EQ(flat.scalar_type(), at::kDouble);
        expect_same({flat.data_ptr<double>(), flat.data_ptr<double>() + flat.numel()}, truth,
                    "plain " + what);
        ++compared;
      }
    }
  }
  EXPECT_GT(compared, 100);
}

void expect_all_pass_and_mutants_rejected(DeviceKind device) {
  for (const Challenge* challenge : challenges()) {
    const harness::SelftestResult result = harness::run_mutants(*challenge, {device});
    EXPECT_FALSE(result.rows.empty());
    for (const harness::SelftestRow& row : result.rows) {
      EXPECT_TRUE(row.ok) << row.challenge << " " << row.case_name << " " << row.implementation
                          << ": expected " << row.expected << ", seen " << row.seen << ": " << row.reason;
    }
  }
}

TEST(BackpropSuite, implementations_pass_and_mutants_are_rejected_by_the_check_they_name) {
  expect_all_pass_and_mutants_rejected(DeviceKind::kCpu);
}

TEST(GpuBackpropSuite, implementations_pass_and_mutants_are_rejected_by_the_check_they_name) {
  if (!harness::cuda_available())
    GTEST_SKIP() << harness::cuda_unavailable_reason();
  expect_all_pass_and_mutants_rejected(DeviceKind::kCuda);
}

/// A size at which the GPU computes truth, against the CPU's f64 tensors.
TEST(GpuBackpropSuite, tensor_oracle_on_the_gpu_agrees_with_the_scalar_one) {
  if (!harness::cuda_available())
    GTEST_SKIP() << harness::cuda_unavailable_reason();
  BackpropCase c{.rows = 257, .hidden = 512, .vocab = 8209};
  c.bias = true;
  Case which;
  which.parameters = c;
  const harness::TensorSet inputs = make_inputs(which, 3);
  const harness::Oracle scalar = scalar_oracle(c, inputs), tensors = tensor_oracle(c, inputs);
  for (const TensorSpec& spec : outputs_of(c))
    expect_same(all_of(tensors, spec), all_of(scalar, spec), spec.name);
}

}  // namespace
}  // namespace assay::suites::backprop
