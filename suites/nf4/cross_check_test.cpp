// SPDX-License-Identifier: Apache-2.0
// CPU kernels against the reference they share nothing with, and against golden data of the real library:
// random shapes, tails, block sizes, codebooks, types and odd values, on every instruction set of this
// machine.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "kernels/nf4/dequantize_cpu.hpp"
#include "kernels/nf4/quantize.hpp"
#include "reference/nf4/dynamic_map.hpp"
#include "reference/nf4/golden/golden.hpp"
#include "reference/nf4/quantize.hpp"
#include "reference/nf4/table.hpp"
#include "suites/nf4/cpu_adapter.hpp"

namespace assay::suites::nf4 {
namespace {

namespace golden = reference::nf4::golden;
using kernels::nf4::Codebook;
using kernels::nf4::PackedWeights;
using kernels::nf4::ScalarType;
using Random = std::mt19937_64;

constexpr ScalarType kTypes[] = {ScalarType::kFloat16, ScalarType::kBfloat16, ScalarType::kFloat32};
constexpr Codebook kCodebooks[] = {Codebook::kNf4, Codebook::kFp4};

std::int64_t pick(Random& random, std::int64_t below) {
  return static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(below));
}

/// A statistic that is plausible, except that one in `rarity` is anything an f32 can be.
float statistic(Random& random, int rarity) {
  if (pick(random, rarity) == 0) {
    constexpr float kOdd[] = {NAN,    -NAN,   INFINITY, -INFINITY, 0.0f,     -0.0f,
                              1e-40f, 1e-38f, 6e-8f,    65519.9f,  65520.0f, 3e38f};
    return pick(random, 2) == 0 ? kOdd[pick(random, std::size(kOdd))]
                                : std::bit_cast<float>(static_cast<std::uint32_t>(random()));
  }
  return 0.2f * static_cast<float>(pick(random, 1 << 20)) / (1 << 20);
}

struct Sample {
  std::vector<std::uint8_t> packed, codes;
  std::vector<float> absmax, nested_absmax, nested_code;
  float offset = 0;
  PackedWeights weights;

  Sample(Random& random, std::int64_t count, std::int32_t block_size, bool nested, Codebook codebook)
      : packed(static_cast<std::size_t>(count + 1) / 2), nested_code(256) {
    weights = {.packed = packed.data(), .num_weights = count, .block_size = block_size, .codebook = codebook};
    weights.nested_block_size = 1 << pick(random, 9);
    const std::int64_t blocks = weights.num_blocks();
    for (auto& byte : packed) byte = static_cast<std::uint8_t>(random());
    if (!nested) {
      absmax.resize(static_cast<std::size_t>(blocks));
      for (float& x : absmax) x = statistic(random, 16);
      weights.absmax = absmax.data();
      return;
    }
    codes.resize(static_cast<std::size_t>(blocks));
    for (auto& byte : codes) byte = static_cast<std::uint8_t>(random());
    nested_absmax.resize(static_cast<std::size_t>(blocks / weights.nested_block_size + 1));
    for (float& x : nested_absmax) x = statistic(random, 64);
    reference::nf4::dynamic_map(nested_code.data());
    offset = statistic(random, 64);
    weights.absmax_codes = codes.data();
    weights.nested_absmax = nested_absmax.data();
    weights.nested_code = nested_code.data();
    weights.nested_offset = &offset;
  }
};

void expect_exact(const PackedWeights& w, ScalarType type) {
  const auto like = as_reference(type);
  const std::size_t bytes = static_cast<std::size_t>(w.num_weights) * reference::nf4::size_of(like);
  std::vector<std::byte> expected(bytes), found(bytes);
  reference::nf4::exact(as_reference(w), like, 0, w.num_weights, expected.data());
  for (const std::string& set : kernels::nf4::cpu_instruction_sets()) {
    std::fill(found.begin(), found.end(), std::byte{0xa5});
    kernels::nf4::dequantize_cpu_on(set, w, found.data(), type, 1 + static_cast<int>(w.num_weights % 3));
    ASSERT_TRUE(found == expected) << set << ", " << w.num_weights << " weights, block " << w.block_size
                                   << ", nested " << w.nested() << ", codebook "
                                   << static_cast<int>(w.codebook) << ", type " << static_cast<int>(type);
  }
}

TEST(CrossCheck, tables_agree_bit_for_bit) {
  for (std::size_t i = 0; i < 16; ++i) {
    EXPECT_EQ(std::bit_cast<std::uint32_t>(kernels::nf4::code_table(Codebook::kNf4)[i]),
              std::bit_cast<std::uint32_t>(reference::nf4::kNf4Code[i]));
    EXPECT_EQ(std::bit_cast<std::uint32_t>(kernels::nf4::code_table(Codebook::kFp4)[i]),
              std::bit_cast<std::uint32_t>(reference::nf4::kFp4Code[i]));
  }
  float ours[256], theirs[256];
  kernels::nf4::dynamic_map(ours);
  reference::nf4::dynamic_map(theirs);
  EXPECT_EQ(std::memcmp(ours, theirs, sizeof(ours)), 0);
}

TEST(CrossCheck, random_weights_dequantize_to_the_exact_bits) {
  Random random(1);
  for (int round = 0; round < 120; ++round) {
    const auto block_size = static_cast<std::int32_t>(32 << pick(random, 8));
    const std::int64_t count = round % 3 == 0 ? pick(random, 200) : pick(random, 30000);
    const Sample sample(random, count, block_size, round % 2 == 0, kCodebooks[pick(random, 2)]);
    for (const ScalarType type : kTypes) expect_exact(sample.weights, type);
  }
}

TEST(CrossCheck, every_byte_with_every_absmax_code_dequantizes_to_the_exact_bits) {
  Random random(2);
  for (const Codebook codebook : kCodebooks) {
    Sample sample(random, 256 * 512, 512, true, codebook);
    for (std::size_t i = 0; i < sample.packed.size(); ++i) sample.packed[i] = static_cast<std::uint8_t>(i);
    for (std::size_t i = 0; i < 256; ++i) sample.codes[i] = static_cast<std::uint8_t>(i);
    for (float& x : sample.nested_absmax) x = 0.011f;
    sample.offset = 0.041f;
    for (const ScalarType type : kTypes) expect_exact(sample.weights, type);
  }
}

/// Bytes of `count` random weights; one in 40 blocks is spoiled by an odd value.
std::vector<std::uint8_t> random_input(Random& random, std::int64_t count, reference::nf4::Scalar type) {
  std::normal_distribution<float> normal(0.0f, std::ldexp(1.0f, -static_cast<int>(pick(random, 40)) + 10));
  const std::size_t size = reference::nf4::size_of(type);
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(count) * size);
  for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
    const float value = pick(random, 2000) == 0 ? statistic(random, 1) : normal(random);
    const std::uint32_t bits = type == reference::nf4::Scalar::kFloat16 ? reference::nf4::to_f16(value)
                               : type == reference::nf4::Scalar::kBfloat16
                                   ? reference::nf4::to_bf16(value)
                                   : std::bit_cast<std::uint32_t>(value);
    std::memcpy(bytes.data() + i * size, &bits, size);
  }
  return bytes;
}

void expect_same_floats(const std::vector<float>& found, const std::vector<float>& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    if (std::isnan(found[i]) && std::isnan(expected[i]))
      continue;
    ASSERT_EQ(std::bit_cast<std::uint32_t>(found[i]), std::bit_cast<std::uint32_t>(expected[i])) << i;
  }
}

TEST(CrossCheck, random_weights_quantize_to_the_bits_of_the_cpu_path) {
  Random random(3);
  for (int round = 0; round < 100; ++round) {
    const ScalarType type = kTypes[round % 3];
    const Codebook codebook = kCodebooks[pick(random, 2)];
    const auto block_size = static_cast<std::int32_t>(32 << pick(random, 8));
    const std::int64_t count = round % 2 == 0 ? pick(random, 300) : pick(random, 20000);
    const auto input = random_input(random, count, as_reference(type));
    const auto blocks = static_cast<std::size_t>((count + block_size - 1) / block_size);
    std::vector<std::uint8_t> expected(static_cast<std::size_t>(count + 1) / 2), found(expected.size());
    std::vector<float> expected_absmax(blocks), absmax(blocks);
    reference::nf4::quantize_as_cpu(
        {input.data(), as_reference(type), count, block_size, as_reference(codebook)}, expected.data(),
        expected_absmax.data());
    for (const std::string& set : kernels::nf4::cpu_instruction_sets()) {
      kernels::nf4::quantize_cpu_on(
          set, {input.data(), type, count, block_size, codebook, found.data(), absmax.data()}, 2);
      ASSERT_TRUE(found == expected) << set << ", " << count << " weights, block " << block_size;
      expect_same_floats(absmax, expected_absmax);
    }
  }
}

TEST(CrossCheck, random_absmax_quantizes_to_the_bits_of_the_cpu_path) {
  Random random(4);
  float map[256];
  kernels::nf4::dynamic_map(map);
  for (int round = 0; round < 60; ++round) {
    const std::int64_t count = pick(random, 3000);
    const std::int32_t block_size = round % 4 == 0 ? 1 << pick(random, 10) : 256;
    std::vector<float> absmax(static_cast<std::size_t>(count));
    for (float& x : absmax) x = statistic(random, 300);
    const float offset = 0.1f;
    const auto blocks = static_cast<std::size_t>((count + block_size - 1) / block_size);
    std::vector<std::uint8_t> expected(absmax.size()), found(absmax.size());
    std::vector<float> expected_nested(blocks), nested(blocks);
    reference::nf4::quantize_absmax_as_cpu({absmax.data(), count, map, offset, block_size}, expected.data(),
                                           expected_nested.data());
    kernels::nf4::quantize_absmax_cpu(
        {absmax.data(), count, map, &offset, block_size, found.data(), nested.data()});
    ASSERT_TRUE(found == expected) << count;
    expect_same_floats(nested, expected_nested);
  }
}

TEST(CrossCheck, golden_cases_of_the_real_library_come_out_of_the_kernels) {
  const auto map = golden::values_of<float>(golden::kDynamicMap);
  for (const golden::Case& c : golden::kCases) {
    const auto weights = golden::weights_of(c);
    const Codebook codebook = c.codebook == reference::nf4::Codebook::kNf4 ? Codebook::kNf4 : Codebook::kFp4;
    const auto absmax = golden::values_of<float>(c.absmax);
    const auto expected_nested = golden::values_of<float>(c.nested_absmax);
    const float offset = golden::values_of<float>(c.offset)[0];
    std::vector<std::uint8_t> packed(static_cast<std::size_t>(c.count + 1) / 2), codes(absmax.size());
    std::vector<float> found_absmax(absmax.size()), nested(expected_nested.size());
    kernels::nf4::quantize_cpu({weights.data(), kTypes[static_cast<int>(c.type)], c.count, c.block_size,
                                codebook, packed.data(), found_absmax.data()});
    kernels::nf4::quantize_absmax_cpu({found_absmax.data(), static_cast<std::int64_t>(absmax.size()),
                                       map.data(), &offset, 256, codes.data(), nested.data()});
    EXPECT_EQ(packed, golden::values_of<std::uint8_t>(c.packed)) << c.name;
    EXPECT_EQ(found_absmax, absmax) << c.name;
    EXPECT_EQ(codes, golden::values_of<std::uint8_t>(c.absmax_codes)) << c.name;
    EXPECT_EQ(nested, expected_nested) << c.name;
    const PackedWeights w{.packed = packed.data(),
                          .num_weights = c.count,
                          .block_size = c.block_size,
                          .codebook = codebook,
                          .absmax_codes = codes.data(),
                          .nested_absmax = nested.data(),
                          .nested_code = map.data(),
                          .nested_offset = &offset};
    for (int t = 0; t < 3; ++t) {
      const auto type = as_reference(kTypes[t]);
      std::vector<std::uint8_t> out(static_cast<std::size_t>(c.count) * reference::nf4::size_of(type));
      kernels::nf4::dequantize_cpu(w, out.data(), kTypes[t]);
      EXPECT_EQ(golden::digest_of(c, type, out), c.dequantized[t]) << c.name;
    }
  }
}

}  // namespace
}  // namespace assay::suites::nf4
