// SPDX-License-Identifier: Apache-2.0
// Every instruction set of this machine against the rules of bitsandbytes' CPU path, one weight at a time.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <stdexcept>

#include "kernels/nf4/dequantize_cpu.hpp"
#include "kernels/nf4/guarded_test.hpp"
#include "kernels/nf4/quantize.hpp"

namespace assay::kernels::nf4 {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

struct Quantized {
  std::vector<std::uint8_t> packed;
  std::vector<std::uint32_t> absmax;  // bits, every NaN the same
  bool operator==(const Quantized&) const = default;
};

std::uint32_t bits_of(float x) {
  return std::isnan(x) ? 0x7fc00000u : std::bit_cast<std::uint32_t>(x);
}

/// The value of a 16-bit pattern, from its fields.
float value_of(std::uint16_t bits, ScalarType type) {
  const int digits = type == ScalarType::kFloat16 ? 10 : 7;
  const int exponent = (bits & 0x7fff) >> digits, fraction = bits & ((1 << digits) - 1);
  const int bias = type == ScalarType::kFloat16 ? 15 : 127, special = type == ScalarType::kFloat16 ? 31 : 255;
  double magnitude =
      std::ldexp(fraction + (exponent > 0 ? 1 << digits : 0), std::max(exponent, 1) - bias - digits);
  if (exponent == special)
    magnitude = fraction == 0 ? INFINITY : NAN;
  return static_cast<float>(std::copysign(magnitude, (bits & 0x8000) != 0 ? -1.0 : 1.0));
}

/// The 16 codes by ascending value; of the two zeros of FP4 code 0 first.
std::vector<int> ascending(Codebook codebook) {
  std::vector<int> codes(16);
  std::iota(codes.begin(), codes.end(), 0);
  std::stable_sort(codes.begin(), codes.end(), [&](int a, int b) {
    return code_table(codebook)[static_cast<std::size_t>(a)] <
           code_table(codebook)[static_cast<std::size_t>(b)];
  });
  return codes;
}

int code_of(float x, Codebook codebook, const std::vector<int>& order) {
  std::size_t place = 0;
  const auto value = [&](std::size_t i) { return code_table(codebook)[static_cast<std::size_t>(order[i])]; };
  while (place < 15 && !((value(place) + value(place + 1)) / 2 >= x)) ++place;
  return order[place];
}

Quantized rules(const std::vector<float>& values, std::int32_t block_size, Codebook codebook) {
  const auto count = values.size(), size = static_cast<std::size_t>(block_size);
  const std::vector<int> order = ascending(codebook);
  std::vector<int> codes;
  Quantized out;
  for (std::size_t begin = 0; begin < count; begin += size) {
    const std::size_t end = std::min(count, begin + size);
    float absmax = 0;
    for (std::size_t i = begin; i < end; ++i)
      absmax = std::isnan(values[i]) || std::isnan(absmax) ? NAN : std::max(absmax, std::fabs(values[i]));
    const bool whole = end - begin == size;
    const float divisor = absmax < 1e-38f ? 1e-38f : absmax;
    for (std::size_t i = begin; i < end; ++i)
      codes.push_back(code_of(whole ? values[i] * (1.0f / divisor) : values[i] / divisor, codebook, order));
    out.absmax.push_back(bits_of(whole ? absmax : divisor));
  }
  if (count % 2 != 0)
    codes.push_back(code_of(0.0f, codebook, order));
  for (std::size_t i = 0; i < codes.size(); i += 2)
    out.packed.push_back(static_cast<std::uint8_t>(codes[i] << 4 | codes[i + 1]));
  return out;
}

template <class T>
Quantized quantize(const std::string& instruction_set, const std::vector<T>& in, ScalarType type,
                   std::int32_t block_size, Codebook codebook, int threads = 1) {
  Guarded<T> weights{std::span<const T>(in)};
  Guarded<std::uint8_t> packed((in.size() + 1) / 2);
  Guarded<float> absmax((in.size() + static_cast<std::size_t>(block_size) - 1) /
                        static_cast<std::size_t>(block_size));
  quantize_cpu_on(instruction_set,
                  {.in = weights.data(),
                   .in_type = type,
                   .num_weights = static_cast<std::int64_t>(in.size()),
                   .block_size = block_size,
                   .codebook = codebook,
                   .packed = packed.data(),
                   .absmax = absmax.data()},
                  threads);
  Quantized out{{packed.span().begin(), packed.span().end()}, {}};
  for (const float x : absmax.span()) out.absmax.push_back(bits_of(x));
  return out;
}

std::vector<float> normal(std::size_t count, std::uint32_t seed, float scale = 0.05f) {
  std::mt19937 random(seed);
  std::normal_distribution<float> distribution(0.0f, scale);
  std::vector<float> values(count);
  for (float& x : values) x = distribution(random);
  return values;
}

class EveryInstructionSetQuantizes : public testing::TestWithParam<std::string> {};

TEST_P(EveryInstructionSetQuantizes, by_the_rules_for_any_length_and_block_size) {
  for (const std::size_t count : {0u, 1u, 2u, 31u, 32u, 33u, 63u, 64u, 65u, 127u, 4095u, 4097u, 9001u}) {
    const auto values = normal(count, static_cast<std::uint32_t>(count));
    for (std::int32_t block_size = 32; block_size <= 4096; block_size *= 2)
      for (const Codebook codebook : {Codebook::kNf4, Codebook::kFp4})
        ASSERT_EQ(quantize(GetParam(), values, ScalarType::kFloat32, block_size, codebook),
                  rules(values, block_size, codebook))
            << count << " weights in blocks of " << block_size;
  }
}

TEST_P(EveryInstructionSetQuantizes, every_16_bit_pattern) {
  std::vector<std::uint16_t> all(65536);
  std::iota(all.begin(), all.end(), std::uint16_t{0});
  std::shuffle(all.begin(), all.end(), std::mt19937(1));
  for (const ScalarType type : {ScalarType::kFloat16, ScalarType::kBfloat16}) {
    std::vector<float> values;
    for (const std::uint16_t bits : all) values.push_back(value_of(bits, type));
    ASSERT_TRUE(quantize(GetParam(), all, type, 32, Codebook::kNf4) == rules(values, 32, Codebook::kNf4));
    // In order, blocks hold neighbours: most have no NaN to spoil them.
    std::vector<std::uint16_t> sorted(65536);
    std::iota(sorted.begin(), sorted.end(), std::uint16_t{0});
    values.clear();
    for (const std::uint16_t bits : sorted) values.push_back(value_of(bits, type));
    ASSERT_TRUE(quantize(GetParam(), sorted, type, 32, Codebook::kFp4) == rules(values, 32, Codebook::kFp4));
  }
}

TEST_P(EveryInstructionSetQuantizes, values_on_and_beside_the_decision_bounds) {
  for (const Codebook codebook : {Codebook::kNf4, Codebook::kFp4}) {
    const auto order = ascending(codebook);
    std::vector<float> values;
    for (std::size_t i = 0; i + 1 < 16; ++i) {
      const auto value = [&](std::size_t k) {
        return code_table(codebook)[static_cast<std::size_t>(order[k])];
      };
      const float bound = (value(i) + value(i + 1)) / 2;
      values.insert(values.end(), {1.0f, bound, std::nextafter(bound, -2.0f), std::nextafter(bound, 2.0f)});
    }
    values.resize(64 * 3 + 7, 1.0f);
    EXPECT_EQ(quantize(GetParam(), values, ScalarType::kFloat32, 64, codebook), rules(values, 64, codebook));
  }
}

TEST_P(EveryInstructionSetQuantizes, a_shorter_block_divides_where_a_whole_one_multiplies) {
  const auto table = code_table(Codebook::kNf4);
  const float bound = (table[14] + table[15]) / 2;
  bool differs = false;
  for (int absmax = 1; absmax < 200; ++absmax) {
    const auto largest = static_cast<float>(absmax);
    std::vector<float> values(64, 0.0f);
    values[0] = largest;
    values[1] = bound * largest;
    values[2] = std::nextafter(values[1], 0.0f);
    values[3] = std::nextafter(values[1], 1e9f);
    const auto whole = quantize(GetParam(), values, ScalarType::kFloat32, 64, Codebook::kNf4);
    ASSERT_EQ(whole, rules(values, 64, Codebook::kNf4));
    values.resize(60);
    const auto shorter = quantize(GetParam(), values, ScalarType::kFloat32, 64, Codebook::kNf4);
    ASSERT_EQ(shorter, rules(values, 64, Codebook::kNf4));
    differs |= whole.packed[0] != shorter.packed[0] || whole.packed[1] != shorter.packed[1];
  }
  EXPECT_TRUE(differs);
}

TEST_P(EveryInstructionSetQuantizes, blocks_of_zeros_nan_infinity_and_subnormals) {
  for (const float special : {0.0f, -0.0f, NAN, kInfinity, -kInfinity, 1e-40f, -1e-38f, 3e38f}) {
    for (const std::size_t count : {64u, 65u, 99u, 128u}) {
      for (const bool everywhere : {false, true}) {
        auto values = normal(count, 3, 1e-3f);
        for (std::size_t i = 0; i < count; ++i)
          if (everywhere || i % 64 == 5)
            values[i] = special;
        for (const Codebook codebook : {Codebook::kNf4, Codebook::kFp4})
          ASSERT_EQ(quantize(GetParam(), values, ScalarType::kFloat32, 64, codebook),
                    rules(values, 64, codebook))
              << special << " in " << count;
      }
    }
  }
}

TEST_P(EveryInstructionSetQuantizes, the_same_bits_on_any_number_of_threads) {
  const auto values = normal(300001, 9);
  const auto expected = rules(values, 64, Codebook::kNf4);
  for (const int threads : {0, 2, 7})
    ASSERT_TRUE(quantize(GetParam(), values, ScalarType::kFloat32, 64, Codebook::kNf4, threads) == expected)
        << threads;
}

INSTANTIATE_TEST_SUITE_P(Cpu, EveryInstructionSetQuantizes, testing::ValuesIn(cpu_instruction_sets()),
                         [](const auto& info) { return info.param; });

/// One value by the rules of the CPU library's 8-bit quantizer, with a search over all codes.
int nested_code_of(float x, const float* code) {
  if (std::isnan(x))
    x = -1.0f;
  const float step = std::trunc(std::fma((std::clamp(x, -1.0f, 1.0f) + 1.0f) * 0.5f, 65535.0f, 0.5f));
  const float value = 2.0f * step / 65535.0f - 1.0f;
  int i = 0;
  while (i < 255 && (code[i] + code[i + 1]) * 0.5f < value) ++i;
  return i;
}

TEST(QuantizeAbsmax, follows_the_rules_step_by_step_across_the_whole_range) {
  float code[256], offset = 0.0f;
  dynamic_map(code);
  std::vector<float> values = normal(100000, 4, 0.3f);
  for (int step = 0; step < 65536; ++step)  // every step's value and the border to the next
    values.insert(values.end(), {2.0f * static_cast<float>(step) / 65535.0f - 1.0f,
                                 (2.0f * static_cast<float>(step) + 1.0f) / 65535.0f - 1.0f});
  values.insert(values.end(), {NAN, 0.0f, kInfinity});
  for (std::size_t i = 0; i < values.size(); i += 256) values[i] = 1.0f;
  std::vector<std::uint8_t> codes(values.size());
  std::vector<float> nested_absmax((values.size() + 255) / 256);
  const auto count = static_cast<std::int64_t>(values.size());
  quantize_absmax_cpu({values.data(), count, code, &offset, 256, codes.data(), nested_absmax.data()});
  for (std::size_t i = 0; i < values.size(); ++i) {
    float absmax = 0;
    const std::size_t begin = i / 256 * 256;
    for (std::size_t k = begin; k < std::min(begin + 256, values.size()); ++k)
      absmax = std::isnan(values[k]) ? absmax : std::max(absmax, std::fabs(values[k]));
    ASSERT_EQ(nested_absmax[i / 256], absmax);
    ASSERT_EQ(codes[i], nested_code_of(values[i] * (1.0f / absmax), code)) << i << ": " << values[i];
  }
}

TEST(QuantizeAbsmax, equal_absmax_leaves_nothing_to_code) {
  const std::vector<float> values(300, 0.25f);
  float code[256], offset = 0.25f, nested_absmax[2] = {1, 1};
  dynamic_map(code);
  std::vector<std::uint8_t> codes(300, 9);
  quantize_absmax_cpu({values.data(), 300, code, &offset, 256, codes.data(), nested_absmax});
  EXPECT_EQ(codes, std::vector<std::uint8_t>(300, 0));
  EXPECT_EQ(nested_absmax[0], 0.0f);
  EXPECT_EQ(nested_absmax[1], 0.0f);
}

TEST(MeanAbsmax, is_summed_in_f64) {
  std::vector<float> values(1 << 20, 0x1p-20f);
  values[0] = 1.0f;
  float mean = 0;
  mean_absmax_cpu(values.data(), 1 << 20, &mean);
  EXPECT_EQ(mean, static_cast<float>((1.0 + ((1 << 20) - 1) * 0x1p-20) * 0x1p-20));
  EXPECT_THROW(mean_absmax_cpu(values.data(), 0, &mean), std::invalid_argument);
}

TEST(QuantizeCpu, bad_arguments_are_refused) {
  float value = 1.0f, absmax = 0.0f;
  std::uint8_t packed = 0;
  QuantizeArgs args{.in = &value, .num_weights = 1, .packed = &packed, .absmax = &absmax};
  EXPECT_NO_THROW(quantize_cpu(args));
  args.block_size = 48;
  EXPECT_THROW(quantize_cpu(args), std::invalid_argument);
  EXPECT_THROW(quantize_absmax_cpu({.num_blocks = 1}), std::invalid_argument);
}

}  // namespace
}  // namespace assay::kernels::nf4
