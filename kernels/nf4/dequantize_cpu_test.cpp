// SPDX-License-Identifier: Apache-2.0
// Every instruction set of this machine against the formula, evaluated one weight at a time with a rounding
// of its own.
#include "kernels/nf4/dequantize_cpu.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cfloat>
#include <cmath>
#include <limits>
#include <random>
#include <stdexcept>
#include <tuple>

#include "kernels/nf4/guarded_test.hpp"

namespace assay::kernels::nf4 {
namespace {

constexpr ScalarType kTypes[] = {ScalarType::kFloat16, ScalarType::kBfloat16, ScalarType::kFloat32};

std::size_t size_of(ScalarType type) {
  return type == ScalarType::kFloat32 ? 4 : 2;
}

/// x to a format of `digits` significant bits and smallest normal 2^least, in f64: nearest, ties to even.
double round_to_format(double x, int digits, int least) {
  if (x == 0 || !std::isfinite(x))
    return x;
  const int exponent = std::max(std::ilogb(x), least);
  const double rounded =
      std::ldexp(std::nearbyint(std::ldexp(x, digits - 1 - exponent)), exponent - (digits - 1));
  const double largest = std::ldexp(2.0 - std::ldexp(1.0, 1 - digits), digits == 11 ? 15 : 127);
  return std::fabs(rounded) > largest ? std::copysign(INFINITY, x) : rounded;
}

std::uint32_t rounded_bits(float product, ScalarType type) {
  if (std::isnan(product))
    return type == ScalarType::kFloat32 ? 0x7fffffffu : 0x7fffu;
  if (type == ScalarType::kFloat32)
    return std::bit_cast<std::uint32_t>(product);
  if (type == ScalarType::kBfloat16)
    return std::bit_cast<std::uint32_t>(static_cast<float>(round_to_format(product, 8, -126))) >> 16;
  const double value = std::fabs(round_to_format(product, 11, -14));
  const std::uint32_t sign = std::signbit(product) ? 0x8000u : 0u;
  if (std::isinf(value))
    return sign | 0x7c00u;
  if (value < 0x1p-14)
    return sign | static_cast<std::uint32_t>(std::ldexp(value, 24));
  const int exponent = std::ilogb(value);
  return sign | static_cast<std::uint32_t>((exponent + 14) * 1024 + std::ldexp(value, 10 - exponent));
}

std::vector<std::uint8_t> formula(const PackedWeights& w, ScalarType type) {
  std::vector<std::uint8_t> out(static_cast<std::size_t>(w.num_weights) * size_of(type));
  for (std::int64_t i = 0; i < w.num_weights; ++i) {
    const std::int64_t block = i / w.block_size;
    float absmax = 0;
    if (w.nested()) {
      const float product =
          w.nested_code[w.absmax_codes[block]] * w.nested_absmax[block / w.nested_block_size];
      absmax = product + *w.nested_offset;
    } else {
      absmax = w.absmax[block];
    }
    const int nibble = i % 2 == 0 ? w.packed[i / 2] >> 4 : w.packed[i / 2] & 15;
    const std::uint32_t bits =
        rounded_bits(code_table(w.codebook)[static_cast<std::size_t>(nibble)] * absmax, type);
    std::memcpy(out.data() + static_cast<std::size_t>(i) * size_of(type), &bits, size_of(type));
  }
  return out;
}

/// Random weights in guarded memory.
struct Sample {
  Guarded<std::uint8_t> packed, codes;
  Guarded<float> absmax, nested_absmax, nested_code, offset;
  PackedWeights weights;

  Sample(std::int64_t count, std::int32_t block_size, bool nested, Codebook codebook,
         std::int32_t nested_block = 256)
      : Sample(count, block_size, (count + block_size - 1) / block_size, nested_block) {
    weights.packed = packed.data();
    weights.num_weights = count;
    weights.block_size = block_size;
    weights.codebook = codebook;
    if (!nested) {
      weights.absmax = absmax.data();
      return;
    }
    weights.absmax_codes = codes.data();
    weights.nested_absmax = nested_absmax.data();
    weights.nested_code = nested_code.data();
    weights.nested_offset = offset.data();
    weights.nested_block_size = nested_block;
  }

 private:
  Sample(std::int64_t count, std::int32_t block_size, std::int64_t blocks, std::int32_t nested_block)
      : packed(static_cast<std::size_t>(count + 1) / 2),
        codes(static_cast<std::size_t>(blocks)),
        absmax(static_cast<std::size_t>(blocks)),
        nested_absmax(static_cast<std::size_t>((blocks + nested_block - 1) / nested_block)),
        nested_code(256),
        offset(1) {
    std::mt19937_64 random(static_cast<std::uint64_t>(count * 4099 + block_size));
    std::uniform_real_distribution<float> uniform(-1.0f, 1.0f);
    for (auto bytes : {packed.span(), codes.span()})
      for (auto& byte : bytes) byte = static_cast<std::uint8_t>(random());
    for (auto floats : {absmax.span(), nested_absmax.span(), nested_code.span(), offset.span()})
      for (auto& x : floats) x = uniform(random);
  }
};

class EveryInstructionSet : public testing::TestWithParam<std::string> {
 protected:
  /// Runs into guarded memory whose bytes are set before; the bytes in front of the output must survive.
  std::vector<std::uint8_t> run(const PackedWeights& w, ScalarType type, int threads = 1,
                                std::size_t elements_in_front = 8) {
    const std::size_t front = elements_in_front * size_of(type);
    Guarded<std::uint8_t> memory(front + static_cast<std::size_t>(w.num_weights) * size_of(type));
    std::fill(memory.span().begin(), memory.span().end(), 0xa5);
    dequantize_cpu_on(GetParam(), w, memory.data() + front, type, threads);
    for (std::size_t i = 0; i < front; ++i)
      EXPECT_EQ(memory.data()[i], 0xa5) << "byte " << i << " before the output";
    return {memory.span().begin() + static_cast<std::ptrdiff_t>(front), memory.span().end()};
  }
};

TEST_P(EveryInstructionSet, has_the_bits_of_the_formula_for_any_length) {
  for (const std::int64_t count :
       {0, 1, 2, 15, 16, 17, 31, 32, 33, 63, 64, 65, 95, 127, 129, 1000, 4095, 4097, 8300}) {
    for (const bool nested : {false, true}) {
      for (const Codebook codebook : {Codebook::kNf4, Codebook::kFp4}) {
        const Sample sample(count, 64, nested, codebook);
        for (const ScalarType type : kTypes)
          ASSERT_EQ(run(sample.weights, type), formula(sample.weights, type))
              << count << " weights, type " << static_cast<int>(type);
      }
    }
  }
}

TEST_P(EveryInstructionSet, has_the_bits_of_the_formula_for_every_block_size) {
  for (std::int32_t block_size = 32; block_size <= 4096; block_size *= 2) {
    const Sample sample(3 * block_size + block_size / 2 + 1, block_size, true, Codebook::kNf4, 2);
    for (const ScalarType type : kTypes)
      ASSERT_EQ(run(sample.weights, type), formula(sample.weights, type)) << "block size " << block_size;
  }
}

TEST_P(EveryInstructionSet, maps_every_byte_with_every_absmax_code) {
  Sample sample(256 * 512, 512, true, Codebook::kNf4);
  for (std::size_t i = 0; i < sample.packed.span().size(); ++i)
    sample.packed.data()[i] = static_cast<std::uint8_t>(i);  // a block is 256 bytes: all of them
  for (std::size_t i = 0; i < 256; ++i) sample.codes.data()[i] = static_cast<std::uint8_t>(i);
  for (const Codebook codebook : {Codebook::kNf4, Codebook::kFp4}) {
    sample.weights.codebook = codebook;
    for (const ScalarType type : kTypes) ASSERT_EQ(run(sample.weights, type), formula(sample.weights, type));
  }
}

TEST_P(EveryInstructionSet, follows_ieee_for_extreme_absmax) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const float extremes[] = {NAN,         -NAN,
                            kInfinity,   -kInfinity,
                            0.0f,        -0.0f,
                            FLT_MAX,     -FLT_MAX,
                            FLT_MIN,     0x1p-149f,
                            0x1.8p-148f, 0x1p-133f,
                            0x1p-127f,   0x1p-14f,
                            0x1p-15f,    0x1.ffep-15f,
                            0x1p-24f,    0x1p-25f,
                            0x1.8p-25f,  65504.0f,
                            65519.0f,    65520.0f,
                            65536.0f,    1e-38f,
                            3.3e38f,     std::bit_cast<float>(0x7f7f8000u)};
  Sample sample(static_cast<std::int64_t>(std::size(extremes)) * 32, 32, false, Codebook::kNf4);
  std::copy(std::begin(extremes), std::end(extremes), sample.absmax.data());
  for (std::size_t i = 0; i < sample.packed.span().size(); ++i)
    sample.packed.data()[i] = static_cast<std::uint8_t>(i * 0x22 + 1);  // 16 bytes a block hold all 16 codes
  for (const Codebook codebook : {Codebook::kNf4, Codebook::kFp4}) {
    sample.weights.codebook = codebook;
    for (const ScalarType type : kTypes)
      ASSERT_EQ(run(sample.weights, type), formula(sample.weights, type))
          << "type " << static_cast<int>(type);
  }
}

TEST_P(EveryInstructionSet, rounds_random_bit_patterns_of_absmax) {
  Sample sample(20000 * 32, 32, false, Codebook::kNf4);
  std::mt19937 random(7);
  for (float& x : sample.absmax.span()) x = std::bit_cast<float>(static_cast<std::uint32_t>(random()));
  for (float& x : sample.absmax.span().subspan(10000))  // half of them around f16's range
    x = std::ldexp(static_cast<float>(random()), -static_cast<int>(random() % 64) - 8);
  for (const ScalarType type : kTypes)
    ASSERT_TRUE(run(sample.weights, type) == formula(sample.weights, type))
        << "type " << static_cast<int>(type);
}

TEST_P(EveryInstructionSet, takes_unaligned_input_and_output_aligned_to_its_element) {
  Sample sample(1001, 64, true, Codebook::kNf4);
  Guarded<std::uint8_t> shifted(sample.packed.span().size() + 1);
  std::copy(sample.packed.span().begin(), sample.packed.span().end(), shifted.data());
  const auto expected = formula(sample.weights, ScalarType::kBfloat16);
  sample.weights.packed = shifted.data();
  for (std::size_t front = 0; front < 4; ++front)
    ASSERT_EQ(run(sample.weights, ScalarType::kBfloat16, 1, front), expected);
}

TEST_P(EveryInstructionSet, gives_the_same_bits_on_any_number_of_threads) {
  const Sample sample((1 << 20) + 12345, 64, true, Codebook::kNf4);
  const auto expected = formula(sample.weights, ScalarType::kBfloat16);
  for (const int threads : {0, 1, 2, 3, 16})
    ASSERT_TRUE(run(sample.weights, ScalarType::kBfloat16, threads) == expected) << threads;
}

INSTANTIATE_TEST_SUITE_P(Cpu, EveryInstructionSet, testing::ValuesIn(cpu_instruction_sets()),
                         [](const auto& info) { return info.param; });

TEST(DequantizeCpu, runs_the_best_instruction_set_and_all_cores_by_default) {
  const Sample sample(100000, 64, true, Codebook::kNf4);
  std::vector<std::uint8_t> out(200000);
  dequantize_cpu(sample.weights, out.data(), ScalarType::kFloat16);
  EXPECT_EQ(out, formula(sample.weights, ScalarType::kFloat16));
}

TEST(DequantizeCpu, an_unknown_instruction_set_is_refused_with_the_known_ones) {
  const Sample sample(64, 64, true, Codebook::kNf4);
  std::uint16_t out[64];
  try {
    dequantize_cpu_on("AVX1024", sample.weights, out, ScalarType::kFloat16);
    FAIL();
  } catch (const std::invalid_argument& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr(cpu_instruction_sets().front()));
    EXPECT_THAT(error.what(), testing::HasSubstr("'AVX1024'"));
  }
}

TEST(DequantizeCpu, bad_arguments_are_refused_before_anything_is_written) {
  Sample sample(64, 64, true, Codebook::kNf4);
  std::uint16_t out[65] = {};
  auto* const odd = reinterpret_cast<std::uint8_t*>(out) + 1;
  EXPECT_THROW(dequantize_cpu(sample.weights, nullptr, ScalarType::kFloat16), std::invalid_argument);
  EXPECT_THROW(dequantize_cpu(sample.weights, odd, ScalarType::kFloat16), std::invalid_argument);
  EXPECT_THROW(dequantize_cpu(sample.weights, out, static_cast<ScalarType>(5)), std::invalid_argument);
  sample.weights.block_size = 48;
  EXPECT_THROW(dequantize_cpu(sample.weights, out, ScalarType::kFloat16), std::invalid_argument);
  EXPECT_THAT(out, testing::Each(0));
}

}  // namespace
}  // namespace assay::kernels::nf4
