// SPDX-License-Identifier: Apache-2.0
// Bit equality: what counts as equal, and what a fault is reported as. Figures are worked out by hand.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "harness/verify/compare_testing.hpp"

namespace assay::harness {
namespace {

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

}  // namespace
}  // namespace assay::harness
