// SPDX-License-Identifier: Apache-2.0
// The comparison against figures worked out by hand. Truth is given as f64 vectors, outputs as the bits that
// were "computed".
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <map>

#include "harness/verify/ulp.hpp"
#include "harness/verify/verify.hpp"

namespace assay::harness {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();
using Truths = std::map<std::string, std::vector<double>, std::less<>>;

Oracle oracle_of(const Truths& truths) {
  Oracle oracle;
  oracle.truth = [truths](std::string_view output, std::int64_t begin, std::span<double> out) {
    const std::vector<double>& truth = truths.find(output)->second;
    std::copy_n(truth.begin() + begin, out.size(), out.begin());
  };
  return oracle;
}

/// Exact parity on top: the expected bits are the correctly rounded truth.
template <class F>
Oracle exact_oracle_of(const Truths& truths) {
  Oracle oracle = oracle_of(truths);
  oracle.exact = [truths](std::string_view output, std::int64_t begin, std::int64_t count, std::byte* out) {
    for (std::int64_t i = 0; i < count; ++i) {
      const auto bits = encode<F>(truths.find(output)->second[begin + i]);
      std::memcpy(out + i * sizeof(bits), &bits, sizeof(bits));
    }
  };
  return oracle;
}

template <class F>
void put(TensorSet& set, const std::string& name, Dtype dtype, std::vector<std::int64_t> shape,
         const std::vector<double>& values) {
  const TensorView& view = set.add({name, dtype, std::move(shape)});
  for (std::size_t i = 0; i < values.size(); ++i) {
    view.as<typename F::Bits>()[i] = encode<F>(values[i]);
  }
}

std::vector<double> ramp(std::int64_t count) {
  std::vector<double> values(static_cast<std::size_t>(count));
  for (std::int64_t i = 0; i < count; ++i) {
    values[i] = static_cast<double>(i % 97 + 1);  // exact in every format
  }
  return values;
}

BaselineErrors uniform_baseline(const std::string& output, double rel_err, std::vector<double> rms,
                                std::vector<double> max) {
  return {{{output, rel_err, std::move(rms), std::move(max)}}};
}

std::vector<std::int64_t> histogram(std::map<int, std::int64_t> filled) {
  std::vector<std::int64_t> buckets(kUlpBuckets);
  for (const auto& [bucket, count] : filled) {
    buckets[bucket] = count;
  }
  return buckets;
}

constexpr ParityRule kExact{.exact = true};

// ---- exact parity

TEST(CompareExact, equal_bits_pass) {
  TensorSet out(DeviceKind::kCpu);
  put<Bfloat16Format>(out, "y", Dtype::kBfloat16, {4}, {1, 2, 3, 4});
  const Parity parity = compare(out, exact_oracle_of<Bfloat16Format>({{"y", {1, 2, 3, 4}}}), kExact, nullptr);
  EXPECT_TRUE(passes(parity));
  EXPECT_EQ(parity.elements, 4);
  EXPECT_EQ(parity.first_bad_index, -1);
  EXPECT_EQ(parity.ulp_histogram, histogram({{0, 4}}));
  EXPECT_EQ(parity.limit, std::nullopt);
}

TEST(CompareExact, one_wrong_element_is_found_with_its_place_and_values) {
  std::vector<double> values = ramp(300 * 200);
  const Oracle oracle = exact_oracle_of<Float16Format>({{"y", values}});
  values[170 * 200 + 133] = 5000;
  TensorSet out(DeviceKind::kCpu);
  put<Float16Format>(out, "y", Dtype::kFloat16, {300, 200}, values);
  const Parity parity = compare(out, oracle, kExact, nullptr);
  EXPECT_FALSE(passes(parity));
  EXPECT_EQ(parity.mismatches, 1);
  EXPECT_EQ(parity.nonfinite, 0);
  EXPECT_EQ(parity.first_bad_index, 170 * 200 + 133);
  EXPECT_EQ(parity.first_bad_output, "y");
  EXPECT_EQ(parity.first_bad_value, 5000);
  EXPECT_EQ(parity.first_bad_expected, (170 * 200 + 133) % 97 + 1);
}

TEST(CompareExact, the_first_of_many_wrong_elements_is_reported) {
  std::vector<double> values = ramp(700 * 300);
  const Oracle oracle = exact_oracle_of<Float32Format>({{"y", values}});
  for (const int index : {209999, 150 * 300, 130 * 300 + 299, 130 * 300 + 7}) {
    values[index] = -1;
  }
  TensorSet out(DeviceKind::kCpu);
  put<Float32Format>(out, "y", Dtype::kFloat32, {700, 300}, values);
  const Parity parity = compare(out, oracle, kExact, nullptr);
  EXPECT_EQ(parity.mismatches, 4);
  EXPECT_EQ(parity.first_bad_index, 130 * 300 + 7);
}

TEST(CompareExact, minus_zero_is_not_zero) {
  TensorSet out(DeviceKind::kCpu);
  put<Float32Format>(out, "y", Dtype::kFloat32, {2}, {-0.0, 1});
  const Parity parity = compare(out, exact_oracle_of<Float32Format>({{"y", {0.0, 1}}}), kExact, nullptr);
  EXPECT_FALSE(passes(parity));
  EXPECT_EQ(parity.mismatches, 1);
  EXPECT_EQ(parity.max_ulp, 0) << "the same number, though not the same bits";
}

TEST(CompareExact, nan_in_one_element_is_rejected) {
  TensorSet out(DeviceKind::kCpu);
  put<Bfloat16Format>(out, "y", Dtype::kBfloat16, {3}, {1, kNan, 3});
  const Parity parity = compare(out, exact_oracle_of<Bfloat16Format>({{"y", {1, 2, 3}}}), kExact, nullptr);
  EXPECT_FALSE(passes(parity));
  EXPECT_EQ(parity.nonfinite, 1);
  EXPECT_EQ(parity.first_bad_index, 1);
  EXPECT_EQ(parity.ulp_histogram, histogram({{0, 2}})) << "a NaN has no distance";
  EXPECT_EQ(parity.rel_err, 0.0) << "and is counted, not summed";
}

TEST(CompareExact, nan_and_infinity_where_truth_has_them_are_equal_whatever_the_payload) {
  TensorSet out(DeviceKind::kCpu);
  put<Bfloat16Format>(out, "y", Dtype::kBfloat16, {4}, {kNan, kInfinity, -kInfinity, 1});
  out.at("y").as<std::uint16_t>()[0] = 0xFFC7;
  const Oracle oracle = exact_oracle_of<Bfloat16Format>({{"y", {kNan, kInfinity, -kInfinity, 1}}});
  const Parity parity = compare(out, oracle, kExact, nullptr);
  EXPECT_TRUE(passes(parity));
  EXPECT_EQ(parity.nonfinite, 0);
  EXPECT_EQ(parity.ulp_histogram, histogram({{0, 4}}));
}

TEST(CompareExact, infinity_of_the_other_sign_or_a_number_instead_of_nan_is_rejected) {
  TensorSet out(DeviceKind::kCpu);
  put<Float32Format>(out, "y", Dtype::kFloat32, {2}, {-kInfinity, 0});
  const Parity parity =
      compare(out, exact_oracle_of<Float32Format>({{"y", {kInfinity, kNan}}}), kExact, nullptr);
  EXPECT_EQ(parity.mismatches, 2);
  EXPECT_EQ(parity.nonfinite, 0) << "the truth is not finite there either";
}

TEST(CompareExact, all_zeros_are_rejected) {
  const std::vector<double> truth = ramp(20000);
  TensorSet out(DeviceKind::kCpu);
  put<Float16Format>(out, "y", Dtype::kFloat16, {20000}, std::vector<double>(20000));
  const Parity parity = compare(out, exact_oracle_of<Float16Format>({{"y", truth}}), kExact, nullptr);
  EXPECT_EQ(parity.mismatches, 20000);
  EXPECT_EQ(parity.first_bad_index, 0);
  EXPECT_DOUBLE_EQ(parity.rel_err, 1.0);
}

TEST(CompareExact, ulp_histogram_counts_steps_from_the_rounded_truth) {
  // bf16 around 1: steps of 2^-7 upward.
  const auto steps = [](int n) { return 1.0 + n * 0x1p-7; };
  TensorSet out(DeviceKind::kCpu);
  put<Bfloat16Format>(out, "y", Dtype::kBfloat16, {6},
                      {steps(0), steps(1), steps(2), steps(3), steps(4), steps(5)});
  const Parity parity =
      compare(out, exact_oracle_of<Bfloat16Format>({{"y", std::vector<double>(6, 1.0)}}), kExact, nullptr);
  EXPECT_EQ(parity.ulp_histogram, histogram({{0, 1}, {1, 1}, {2, 1}, {3, 2}, {4, 1}}));
  EXPECT_EQ(parity.max_ulp, 5);
  EXPECT_DOUBLE_EQ(parity.max_abs_err, 5 * 0x1p-7);
  EXPECT_DOUBLE_EQ(parity.rel_err, std::sqrt(55.0 / 6.0) * 0x1p-7);
}

TEST(CompareExact, swapped_outputs_are_rejected) {
  TensorSet out(DeviceKind::kCpu);
  put<Float32Format>(out, "a", Dtype::kFloat32, {2}, {3, 4});
  put<Float32Format>(out, "b", Dtype::kFloat32, {2}, {1, 2});
  const Oracle oracle = exact_oracle_of<Float32Format>({{"a", {1, 2}}, {"b", {3, 4}}});
  const Parity parity = compare(out, oracle, kExact, nullptr);
  EXPECT_EQ(parity.mismatches, 4);
  EXPECT_EQ(parity.first_bad_output, "a");
}

TEST(CompareExact, a_fault_in_the_second_output_is_reported_there) {
  TensorSet out(DeviceKind::kCpu);
  put<Float32Format>(out, "a", Dtype::kFloat32, {2}, {1, 2});
  put<Float32Format>(out, "b", Dtype::kFloat32, {2}, {3, 5});
  const Oracle oracle = exact_oracle_of<Float32Format>({{"a", {1, 2}}, {"b", {3, 4}}});
  const Parity parity = compare(out, oracle, kExact, nullptr);
  EXPECT_EQ(parity.first_bad_output, "b");
  EXPECT_EQ(parity.first_bad_index, 1);
  EXPECT_EQ(parity.elements, 4);
  EXPECT_DOUBLE_EQ(parity.rel_err, 0.2) << "of the worse output";
}

TEST(CompareExact, integers_are_compared_by_value) {
  TensorSet out(DeviceKind::kCpu);
  const TensorView& view = out.add({"codes", Dtype::kUint8, {3}});
  view.as<std::uint8_t>()[0] = 7;
  view.as<std::uint8_t>()[1] = 255;
  view.as<std::uint8_t>()[2] = 9;
  Oracle oracle;
  oracle.exact = [](std::string_view, std::int64_t begin, std::int64_t count, std::byte* to) {
    const std::uint8_t expected[] = {7, 250, 9};
    std::memcpy(to, expected + begin, static_cast<std::size_t>(count));
  };
  const Parity parity = compare(out, oracle, kExact, nullptr);
  EXPECT_EQ(parity.mismatches, 1);
  EXPECT_EQ(parity.first_bad_value, 255);
  EXPECT_EQ(parity.first_bad_expected, 250);
  EXPECT_EQ(parity.max_ulp, 5);
}

TEST(CompareExact, an_empty_output_passes) {
  TensorSet out(DeviceKind::kCpu);
  out.add({"y", Dtype::kFloat16, {0}});
  EXPECT_TRUE(passes(compare(out, exact_oracle_of<Float16Format>({{"y", {}}}), kExact, nullptr)));
}

// ---- k · baseline + floor

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

// ---- wrong calls of the comparison itself

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
