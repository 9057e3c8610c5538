// SPDX-License-Identifier: Apache-2.0
// Errors against k times the baseline plus a floor, and wrong calls of the comparison. Figures are worked out
// by hand.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "harness/verify/compare_testing.hpp"

namespace assay::harness {
namespace {

TEST(CompareToBaseline, baseline_errors_are_relative_and_per_tile) {
  // 1×2 tiles: the left holds errors 3 and 4 among 128·128 elements, the right none; truth is 2 everywhere.
  std::vector<double> values(128 * 256, 2.0);
  values[0] = 5;
  values[1] = 6;
  TensorSet out(DeviceKind::kCpu);
  put<Float32Format>(out, "y", Dtype::kFloat32, {128, 256}, values);
  const BaselineErrors errors = measure_errors(out, oracle_of({{"y", std::vector<double>(128 * 256, 2.0)}}));
  ASSERT_EQ(errors.outputs.size(), 1u);
  EXPECT_DOUBLE_EQ(errors.outputs[0].rel_err, 5.0 / std::sqrt(4.0 * 128 * 256));
  EXPECT_THAT(errors.outputs[0].tile_rms, testing::ElementsAre(testing::DoubleEq(5.0 / 128), 0.0));
  EXPECT_THAT(errors.outputs[0].tile_max, testing::ElementsAre(4.0, 0.0));
}

TEST(CompareToBaseline, errors_up_to_k_times_the_baseline_pass_and_beyond_fail) {
  const Oracle oracle = oracle_of({{"y", {8, 8, 8, 8}}});
  const BaselineErrors baseline = uniform_baseline("y", 0.125, {1.0}, {1.0});
  const ParityRule rule{.exact = false, .k = 2.0, .floor_ulp = 0.0};
  TensorSet at_limit(DeviceKind::kCpu);
  put<Float32Format>(at_limit, "y", Dtype::kFloat32, {4}, {10, 6, 10, 6});
  const Parity good = compare(at_limit, oracle, rule, &baseline);
  EXPECT_TRUE(passes(good));
  EXPECT_DOUBLE_EQ(good.worst_tile_ratio, 1.0);
  EXPECT_DOUBLE_EQ(good.rel_err, 0.25);
  EXPECT_DOUBLE_EQ(*good.limit, 0.25);
  EXPECT_DOUBLE_EQ(*good.baseline_rel_err, 0.125);

  TensorSet beyond(DeviceKind::kCpu);
  put<Float32Format>(beyond, "y", Dtype::kFloat32, {4}, {8, 8, 10.5, 8});
  const Parity bad = compare(beyond, oracle, rule, &baseline);
  EXPECT_FALSE(passes(bad)) << "one element is beyond its limit though the norm is small";
  EXPECT_EQ(bad.mismatches, 1);
  EXPECT_EQ(bad.first_bad_index, 2);
  EXPECT_LT(bad.rel_err, *bad.limit);
}

TEST(CompareToBaseline, one_wrong_tile_is_rejected_though_the_norm_passes) {
  // Nine tiles of 8s. The baseline is off by 1 in every element of tile 0 and by 0.01 elsewhere: no element
  // of the candidate exceeds its tile's largest error, but tile 4 is as wrong everywhere as the baseline is
  // at one place.
  const std::int64_t side = 384;
  const std::vector<double> truth(side * side, 8.0);
  std::vector<double> rms(9, 0.01), max(9, 1.0);
  rms[0] = 1.0;
  const BaselineErrors baseline = uniform_baseline("y", 1.0, rms, max);
  std::vector<double> values = truth;
  for (std::int64_t row = 128; row < 256; ++row) {
    for (std::int64_t col = 128; col < 256; ++col) {
      values[row * side + col] = 8.5;
    }
  }
  TensorSet out(DeviceKind::kCpu);
  put<Float32Format>(out, "y", Dtype::kFloat32, {side, side}, values);
  const Parity parity = compare(out, oracle_of({{"y", truth}}), {.exact = false, .k = 1.0}, &baseline);
  EXPECT_FALSE(passes(parity));
  EXPECT_EQ(parity.mismatches, 0);
  EXPECT_LE(parity.rel_err, *parity.limit);
  EXPECT_NEAR(parity.worst_tile_ratio, 50.0, 1e-9);
  EXPECT_EQ(parity.first_bad_index, 128 * side + 128) << "the first element of the wrong tile";
}

TEST(CompareToBaseline, the_floor_is_in_units_of_the_last_place) {
  const Oracle oracle = oracle_of({{"y", {1.0, 4.0}}});
  const BaselineErrors perfect = uniform_baseline("y", 0.0, {0.0}, {0.0});
  TensorSet out(DeviceKind::kCpu);
  put<Bfloat16Format>(out, "y", Dtype::kBfloat16, {2}, {1.0 + 0x1p-7, 4.0 - 0x1p-5});
  EXPECT_TRUE(passes(compare(out, oracle, {.exact = false, .k = 1.0, .floor_ulp = 1.0}, &perfect)));
  EXPECT_FALSE(passes(compare(out, oracle, {.exact = false, .k = 1.0, .floor_ulp = 0.99}, &perfect)));
}

TEST(CompareToBaseline, an_output_may_have_a_floor_of_its_own) {
  const Oracle oracle = oracle_of({{"y", {1.0}}, {"z", {1.0}}});
  BaselineErrors perfect = uniform_baseline("y", 0.0, {0.0}, {0.0});
  perfect.outputs.push_back(uniform_baseline("z", 0.0, {0.0}, {0.0}).outputs.front());
  const auto judged = [&](double y, double z) {
    TensorSet out(DeviceKind::kCpu);
    put<Float32Format>(out, "y", Dtype::kFloat32, {1}, {y});
    put<Float32Format>(out, "z", Dtype::kFloat32, {1}, {z});
    return passes(compare(
        out, oracle, {.exact = false, .k = 1.0, .floor_ulp = 1.0, .floor_ulp_of = {{"z", 4.0}}}, &perfect));
  };
  EXPECT_TRUE(judged(1.0 + 0x1p-23, 1.0 + 0x1p-21));
  EXPECT_FALSE(judged(1.0 + 0x1p-21, 1.0));
  EXPECT_FALSE(judged(1.0, 1.0 + 0x1p-20));
}

TEST(CompareToBaseline, slack_widens_the_limit_of_elements_and_of_nothing_else) {
  const Oracle oracle = oracle_of({{"y", {8, 8, 8, 8}}});
  const BaselineErrors baseline = uniform_baseline("y", 0.125, {1.0}, {1.0});
  const ParityRule rule{.exact = false, .k = 1.0, .floor_ulp = 0.0, .element_slack = 2.0};
  const auto judged = [&](std::vector<double> values) {
    TensorSet out(DeviceKind::kCpu);
    put<Float32Format>(out, "y", Dtype::kFloat32, {4}, values);
    return passes(compare(out, oracle, rule, &baseline));
  };
  EXPECT_TRUE(judged({10, 8, 8, 8}));
  EXPECT_FALSE(judged({10.5, 8, 8, 8})) << "an element beyond twice";
  EXPECT_FALSE(judged({10, 10, 8, 8})) << "a norm beyond once";
}

TEST(CompareToBaseline, nan_never_passes_however_wide_the_limit) {
  const BaselineErrors wide = uniform_baseline("y", 1e300, {1e300}, {1e300});
  const Oracle oracle = oracle_of({{"y", {1, 2, 3}}});
  for (const double bad : {kNan, kInfinity, -kInfinity}) {
    TensorSet out(DeviceKind::kCpu);
    put<Float16Format>(out, "y", Dtype::kFloat16, {3}, {1, bad, 3});
    const Parity parity = compare(out, oracle, {.exact = false, .k = 1.0}, &wide);
    EXPECT_FALSE(passes(parity));
    EXPECT_EQ(parity.nonfinite, 1);
    EXPECT_EQ(parity.mismatches, 1);
    EXPECT_EQ(parity.first_bad_index, 1);
  }
}

TEST(CompareToBaseline, nan_and_infinity_where_truth_has_them_pass_with_no_tolerance) {
  const BaselineErrors perfect = uniform_baseline("y", 0.0, {0.0}, {0.0});
  TensorSet out(DeviceKind::kCpu);
  put<Float16Format>(out, "y", Dtype::kFloat16, {3}, {kNan, -kInfinity, 70000});
  const Oracle oracle = oracle_of({{"y", {kNan, -kInfinity, 70000}}});
  const Parity parity = compare(out, oracle, {.exact = false, .k = 1.0}, &perfect);
  EXPECT_TRUE(passes(parity)) << "70000 rounds to infinity in f16, so infinity is right";
  EXPECT_EQ(parity.rel_err, 0.0);
}

TEST(CompareToBaseline, a_number_where_truth_is_nan_is_rejected) {
  const BaselineErrors wide = uniform_baseline("y", 1e300, {1e300}, {1e300});
  TensorSet out(DeviceKind::kCpu);
  put<Float32Format>(out, "y", Dtype::kFloat32, {1}, {1.0});
  EXPECT_FALSE(passes(compare(out, oracle_of({{"y", {kNan}}}), {.exact = false, .k = 1.0}, &wide)));
}

TEST(CompareToBaseline, minus_zero_is_zero) {
  const BaselineErrors perfect = uniform_baseline("y", 0.0, {0.0}, {0.0});
  TensorSet out(DeviceKind::kCpu);
  put<Float32Format>(out, "y", Dtype::kFloat32, {1}, {-0.0});
  EXPECT_TRUE(passes(compare(out, oracle_of({{"y", {0.0}}}), {.exact = false, .k = 1.0}, &perfect)));
}

TEST(CompareToBaseline, all_zeros_are_rejected_where_the_baseline_is_good) {
  const std::vector<double> truth = ramp(20000);
  TensorSet good(DeviceKind::kCpu);
  std::vector<double> rounded = truth;
  for (double& value : rounded) {
    value *= 1.0 + 0x1p-9;
  }
  put<Float32Format>(good, "y", Dtype::kFloat32, {20000}, rounded);
  const BaselineErrors baseline = measure_errors(good, oracle_of({{"y", truth}}));
  EXPECT_EQ(baseline.outputs[0].tile_rms.size(), 2u) << "vectors have tiles of 16384";
  TensorSet zeros(DeviceKind::kCpu);
  put<Float32Format>(zeros, "y", Dtype::kFloat32, {20000}, std::vector<double>(20000));
  const Parity parity =
      compare(zeros, oracle_of({{"y", truth}}), {.exact = false, .k = 2.0, .floor_ulp = 4.0}, &baseline);
  EXPECT_FALSE(passes(parity));
  EXPECT_GT(parity.worst_tile_ratio, 100.0);
}

TEST(CompareToBaseline, a_perfect_baseline_leaves_a_finite_ratio_in_the_record) {
  const BaselineErrors perfect = uniform_baseline("y", 0.0, {0.0}, {0.0});
  TensorSet out(DeviceKind::kCpu);
  put<Float32Format>(out, "y", Dtype::kFloat32, {1}, {2.0});
  const Parity parity = compare(out, oracle_of({{"y", {1.0}}}), {.exact = false, .k = 1.0}, &perfect);
  EXPECT_FALSE(passes(parity));
  EXPECT_TRUE(std::isfinite(parity.worst_tile_ratio));
}

TEST(CompareToBaseline, where_truth_is_zero_the_error_is_absolute) {
  const BaselineErrors baseline = uniform_baseline("y", 0.5, {0.5}, {0.5});
  TensorSet out(DeviceKind::kCpu);
  put<Float32Format>(out, "y", Dtype::kFloat32, {2}, {0.25, 0.0});
  const Parity parity = compare(out, oracle_of({{"y", {0, 0}}}), {.exact = false, .k = 1.0}, &baseline);
  EXPECT_TRUE(passes(parity));
  EXPECT_DOUBLE_EQ(parity.rel_err, 0.25);
}

TEST(CompareArguments, too_few_outputs_are_refused) {
  const BaselineErrors baseline{{{"a", 0.1, {0.1}, {0.1}}, {"b", 0.1, {0.1}, {0.1}}}};
  TensorSet out(DeviceKind::kCpu);
  put<Float32Format>(out, "a", Dtype::kFloat32, {1}, {1});
  EXPECT_THROW(compare(out, oracle_of({{"a", {1}}}), {.exact = false}, &baseline), std::invalid_argument);
  EXPECT_THROW(compare(TensorSet(DeviceKind::kCpu), oracle_of({}), kExact, nullptr), std::invalid_argument);
}

TEST(CompareArguments, what_is_needed_to_judge_must_be_given) {
  TensorSet out(DeviceKind::kCpu);
  put<Float32Format>(out, "y", Dtype::kFloat32, {1}, {1});
  const BaselineErrors wrong_tiles = uniform_baseline("y", 0.1, {0.1, 0.1}, {0.1, 0.1});
  const BaselineErrors other_output = uniform_baseline("z", 0.1, {0.1}, {0.1});
  EXPECT_THROW(compare(out, oracle_of({{"y", {1}}}), kExact, nullptr), std::invalid_argument)
      << "no exact oracle";
  EXPECT_THROW(compare(out, Oracle{}, {.exact = false}, &wrong_tiles), std::invalid_argument) << "no oracle";
  EXPECT_THROW(compare(out, oracle_of({{"y", {1}}}), {.exact = false}, nullptr), std::invalid_argument)
      << "no baseline";
  EXPECT_THROW(compare(out, oracle_of({{"y", {1}}}), {.exact = false}, &wrong_tiles), std::invalid_argument);
  EXPECT_THROW(compare(out, oracle_of({{"y", {1}}}), {.exact = false}, &other_output), std::invalid_argument);
}

TEST(Passes, a_parity_that_no_comparison_made_does_not_pass) {
  EXPECT_FALSE(passes(Parity{}));
}

TEST(Passes, nan_in_a_figure_does_not_pass) {
  Parity parity;
  parity.ulp_histogram.resize(kUlpBuckets);
  ASSERT_TRUE(passes(parity));
  parity.worst_tile_ratio = kNan;
  EXPECT_FALSE(passes(parity));
  parity.worst_tile_ratio = 0;
  parity.limit = 1.0;
  parity.rel_err = kNan;
  EXPECT_FALSE(passes(parity));
}

}  // namespace
}  // namespace assay::harness
