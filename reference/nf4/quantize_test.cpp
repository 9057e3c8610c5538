// SPDX-License-Identifier: Apache-2.0
#include "reference/nf4/quantize.hpp"

#include <gtest/gtest.h>

#include <cfloat>
#include <cmath>
#include <random>
#include <vector>

#include "reference/nf4/dynamic_map.hpp"
#include "reference/nf4/golden/golden.hpp"
#include "reference/nf4/table.hpp"

namespace assay::reference::nf4 {
namespace {

struct Quantized {
  std::vector<std::uint8_t> packed;
  std::vector<float> absmax;
};

Quantized quantize(bool cuda, const QuantizeInput& in) {
  Quantized out;
  out.packed.resize(static_cast<std::size_t>(in.count + 1) / 2);
  out.absmax.resize(static_cast<std::size_t>((in.count + in.block_size - 1) / in.block_size));
  if (cuda)
    quantize_as_cuda(in, nullptr, out.packed.data(), out.absmax.data());
  else
    quantize_as_cpu(in, out.packed.data(), out.absmax.data());
  return out;
}

QuantizeInput input_of(const std::vector<float>& values, Codebook codebook = Codebook::kNf4) {
  return {.values = values.data(), .count = static_cast<std::int64_t>(values.size()), .codebook = codebook};
}

TEST(Golden, the_dynamic_map_has_the_bits_torch_gives_it) {
  float map[256];
  dynamic_map(map);
  const auto expected = golden::values_of<float>(golden::kDynamicMap);
  for (std::size_t i = 0; i < 256; ++i)
    ASSERT_EQ(std::bit_cast<std::uint32_t>(map[i]), std::bit_cast<std::uint32_t>(expected[i])) << i;
}

TEST(Golden, cpu_quantization_has_the_bits_of_the_real_library) {
  for (const golden::Case& c : golden::kCases) {
    const auto weights = golden::weights_of(c);
    const Quantized q = quantize(false, {weights.data(), c.type, c.count, c.block_size, c.codebook});
    EXPECT_EQ(q.packed, golden::values_of<std::uint8_t>(c.packed)) << c.name;
    EXPECT_EQ(q.absmax, golden::values_of<float>(c.absmax)) << c.name;
  }
}

TEST(Golden, cpu_second_level_has_the_bits_of_the_real_library) {
  const auto map = golden::values_of<float>(golden::kDynamicMap);
  for (const golden::Case& c : golden::kCases) {
    const auto absmax = golden::values_of<float>(c.absmax);
    const auto expected = golden::values_of<float>(c.nested_absmax);
    std::vector<std::uint8_t> codes(absmax.size());
    std::vector<float> nested_absmax(expected.size());
    quantize_absmax_as_cpu({.absmax = absmax.data(),
                            .count = static_cast<std::int64_t>(absmax.size()),
                            .code = map.data(),
                            .offset = golden::values_of<float>(c.offset)[0]},
                           codes.data(), nested_absmax.data());
    EXPECT_EQ(codes, golden::values_of<std::uint8_t>(c.absmax_codes)) << c.name;
    EXPECT_EQ(nested_absmax, expected) << c.name;
  }
}

TEST(CpuAndCuda, a_block_of_zeros_is_zeros_on_the_cpu_and_code_0_on_cuda) {
  const std::vector<float> zeros(64, 0.0f);
  EXPECT_EQ(quantize(false, input_of(zeros)).packed, std::vector<std::uint8_t>(32, 0x77));
  EXPECT_EQ(quantize(true, input_of(zeros)).packed, std::vector<std::uint8_t>(32, 0x00));
}

TEST(CpuAndCuda, nan_is_the_last_code_on_the_cpu_and_code_0_on_cuda) {
  std::vector<float> values(64, 1.0f);
  values[0] = NAN;
  EXPECT_EQ(quantize(false, input_of(values)).packed[0], 0xff);  // absmax is NaN, so every weight is
  EXPECT_TRUE(std::isnan(quantize(false, input_of(values)).absmax[0]));
  EXPECT_EQ(quantize(true, input_of(values)).packed[0], 0x0f);
  EXPECT_EQ(quantize(true, input_of(values)).absmax[0], 1.0f);
}

TEST(CpuAndCuda, four_nf4_bounds_lie_one_ulp_apart) {
  int apart = 0;
  for (int i = 0; i < 15; ++i) {
    const float midpoint = (kNf4Code[i] + kNf4Code[i + 1]) / 2.0f;
    std::vector<float> values(64, 0.0f);
    values[0] = 1.0f;
    values[1] = std::max(midpoint, kNf4CudaBound[i]);  // above the smaller of two bounds, on the larger
    const int cpu = quantize(false, input_of(values)).packed[0] & 15;
    const int cuda = quantize(true, input_of(values)).packed[0] & 15;
    if (midpoint == kNf4CudaBound[i]) {
      EXPECT_EQ(cpu, cuda) << i;
      continue;
    }
    ++apart;
    EXPECT_EQ(std::nextafter(midpoint, kNf4CudaBound[i]), kNf4CudaBound[i]) << i;
    EXPECT_NE(cpu, cuda) << i;
  }
  EXPECT_EQ(apart, 4);
}

TEST(CpuAndCuda, a_shorter_block_divides_on_the_cpu_only) {
  const float bound = (kNf4Code[14] + kNf4Code[15]) / 2.0f;
  std::vector<float> whole(64, 0.0f), shorter(63, 0.0f);
  int differences = 0;
  for (int absmax = 1; absmax < 200;
       ++absmax) {  // v / absmax and v * (1 / absmax) straddle the bound for some
    const auto largest = static_cast<float>(absmax);
    whole[0] = shorter[0] = largest;
    for (const float v :
         {bound * largest, std::nextafter(bound * largest, 1e9f), std::nextafter(bound * largest, 0.0f)}) {
      whole[1] = shorter[1] = v;
      differences +=
          quantize(false, input_of(whole)).packed[0] != quantize(false, input_of(shorter)).packed[0];
      EXPECT_EQ(quantize(true, input_of(whole)).packed[0], quantize(true, input_of(shorter)).packed[0]);
    }
  }
  EXPECT_GT(differences, 0);
}

TEST(CpuAndCuda, a_zero_tail_block_keeps_the_least_divisor_on_the_cpu) {
  const std::vector<float> values(65, 0.0f);
  EXPECT_EQ(quantize(false, input_of(values)).absmax, (std::vector<float>{0.0f, 1e-38f}));
  EXPECT_EQ(quantize(true, input_of(values)).absmax, (std::vector<float>{0.0f, 0.0f}));
}

TEST(Cuda, subnormal_weights_are_zero) {
  std::vector<float> values(64, 1e-40f);
  EXPECT_EQ(quantize(true, input_of(values)).absmax[0], 0.0f);
  EXPECT_EQ(quantize(false, input_of(values)).absmax[0], 1e-40f);
}

TEST(Cuda, given_reciprocals_are_used) {
  std::vector<float> values(64, 0.25f);
  values[0] = 1.0f;
  const float reciprocal = 2.0f;
  std::vector<std::uint8_t> packed(32);
  float absmax = 0;
  quantize_as_cuda(input_of(values), &reciprocal, packed.data(), &absmax);
  EXPECT_EQ(packed[0] & 15, 12);  // 0.5 lies between the bounds 0.389 and 0.502
}

/// The search bitsandbytes runs on the GPU, step by step: seven halvings from 127, then a look at the
/// midpoint.
int searched_code(const float* code, float x) {
  int pivot = 127, above = 255, below = 0;
  for (int step = 64; step > 0; step /= 2) {
    if (x > code[pivot]) {
      below = pivot;
      pivot += step;
    } else {
      above = pivot;
      pivot -= step;
    }
  }
  if (x > code[pivot])
    return x > (code[above] + code[pivot]) * 0.5f ? above : pivot;
  return x < (code[below] + code[pivot]) * 0.5f ? below : pivot;
}

TEST(Cuda, nearest_code_with_even_ties_is_what_the_search_finds) {
  float map[256];
  dynamic_map(map);
  std::vector<float> values;
  for (int i = 0; i < 255; ++i) {
    const float middle = (map[i] + map[i + 1]) * 0.5f;
    for (const float x : {map[i], middle, std::nextafter(middle, -2.0f), std::nextafter(middle, 2.0f)})
      values.push_back(x);
  }
  values.push_back(NAN);
  std::vector<float> one(2);
  for (const float x : values) {  // the second value makes absmax 1, so that x is not scaled
    one = {x, 1.0f};
    std::uint8_t codes[2];
    float nested_absmax;
    quantize_absmax_as_cuda({.absmax = one.data(), .count = 2, .code = map}, nullptr, codes, &nested_absmax);
    ASSERT_EQ(codes[0], searched_code(map, x)) << x;
  }
}

TEST(Mean, is_the_f64_sum_rounded_once) {
  std::vector<float> values(100000, 0.1f);
  values[0] = 0x1p24f;
  double sum = 0;
  for (const float v : values) sum += v;
  EXPECT_EQ(mean_absmax(values.data(), 100000), static_cast<float>(sum / 100000));
}

}  // namespace
}  // namespace assay::reference::nf4
