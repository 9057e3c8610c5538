// SPDX-License-Identifier: Apache-2.0
// The table of products is what it says, work is counted by hand, and the truth is the formula.
#include "suites/nf4/matmul/suite.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <map>
#include <set>

#include "harness/core/registry.hpp"
#include "harness/verify/ulp.hpp"
#include "suites/nf4/mutants/plain_cpu.hpp"

namespace assay::suites::nf4::matmul {
namespace {

using harness::Case;
using harness::Challenge;
using harness::DeviceKind;
using harness::Dtype;

const Challenge& challenge() {
  return harness::Registry::instance().challenge(kMatmul);
}

const harness::Implementation& implementation(const std::string& name) {
  for (const auto& each : challenge().implementations)
    if (each.name == name)
      return each;
  throw std::out_of_range("no implementation " + name);
}

TEST(MatmulSuite, every_linear_has_every_number_of_rows_in_both_types) {
  std::map<std::pair<std::int64_t, std::int64_t>, std::set<std::pair<std::int64_t, Dtype>>> seen;
  for (const Case& which : challenge().cases) {
    const MatmulCase& c = parameters_of(which);
    if (!which.quick && c.block_size == 64)
      seen[{c.n, c.k}].insert({c.m, c.dtype});
  }
  EXPECT_EQ(seen.size(), 12u) << "Llama 1B, 8B and 70B: q and o, k and v, gate and up, down";
  for (const auto& [shape, products] : seen)
    EXPECT_EQ(products.size(), 2u * 14) << shape.first << "x" << shape.second;
}

TEST(MatmulSuite, a_default_run_times_16_rows_at_most_and_no_weights_that_stay_in_cache) {
  for (const Case& which : challenge().cases) {
    const MatmulCase& c = parameters_of(which);
    if (which.quick) {
      EXPECT_FALSE(which.measured) << which.name;
      EXPECT_EQ(which.devices.size(), 2u) << which.name;
    } else if (!which.on_request) {
      EXPECT_LE(c.m, 16) << which.name;
    }
    // H100: 50 MB of L2, 64 sets at most.
    if (which.measured) {
      EXPECT_GT(64 * (c.n * c.k / 2), 50 << 20) << which.name;
    }
  }
}

TEST(MatmulSuite, work_counts_what_must_move) {
  // 4096·14336 weights in 4 bits, an absmax code for 64 of them, f32 for 256 codes, map and offset; x and y.
  const MatmulCase c{.n = 4096, .k = 14336, .m = 2};
  EXPECT_EQ(work_of(c).bytes, 29360128 + 917504 + 3584 * 4 + 1024 + 4 + 2 * (14336 + 4096) * 2);
  EXPECT_EQ(work_of(c).flops, 2 * 2 * std::int64_t{4096} * 14336);
  EXPECT_EQ(work_of(c).ceiling, "copy_gbps");
  EXPECT_EQ(work_of({.n = 64, .k = 64, .m = 128}).ceiling, "matmul_bf16_tflops");
  EXPECT_EQ(work_of({.n = 64, .k = 64, .m = 128, .dtype = Dtype::kFloat16}).ceiling, "matmul_f16_tflops");
}

TEST(MatmulSuite, skinny_implementations_decline_more_than_16_rows) {
  Case which;
  for (const char* name : {"skinny", "skinny_constant", "cpu_simd", "cpu_simd_threads"}) {
    which.parameters = MatmulCase{.n = 64, .k = 64, .m = 16};
    EXPECT_FALSE(implementation(name).unsupported(which, {})) << name;
    which.parameters = MatmulCase{.n = 64, .k = 64, .m = 17};
    EXPECT_TRUE(implementation(name).unsupported(which, {})) << name;
  }
}

TEST(MatmulSuite, baselines_of_both_devices_compete_to_be_the_headline) {
  for (const char* name : {"reference_cpu", "dequantize_cublas", "bitsandbytes"})
    EXPECT_TRUE(implementation(name).headline_baseline) << name;
  EXPECT_FALSE(implementation("cublas_16bit").headline_baseline) << "it is given four times the memory";
}

/// Truth of one element by the formula, with the mutants' own steps in f64.
double formula(const MatmulCase& c, const harness::TensorSet& in, std::int64_t i, std::int64_t row) {
  using Steps = nf4::mutants::PlainSteps;
  const auto w = packed_weights(c, in);
  double sum = 0.0;
  for (std::int64_t k = 0; k < c.k; ++k) {
    const std::int64_t at = row * c.k + k, block = at / c.block_size;
    const double absmax =
        double{w.nested_code[w.absmax_codes[block]]} * double{w.nested_absmax[block / 256]} +
        double{*w.nested_offset};
    const std::uint16_t x = in.at("x").as<const std::uint16_t>()[i * c.k + k];
    sum += double{Steps::code(Steps::nibble(w, at))} * absmax *
           (c.dtype == Dtype::kFloat16 ? harness::decode<harness::Float16Format>(x)
                                       : harness::decode<harness::Bfloat16Format>(x));
  }
  return sum;
}

TEST(MatmulSuite, the_oracle_is_the_formula_in_f64) {
  for (const Case& which : challenge().cases) {
    if (!which.quick)
      continue;
    const MatmulCase& c = parameters_of(which);
    const harness::TensorSet inputs = challenge().make_inputs(which, 5);
    const harness::Oracle oracle = challenge().oracle(which, inputs);
    std::vector<double> truth(static_cast<std::size_t>(c.n));
    oracle.truth("y", (c.m - 1) * c.n, truth);
    for (const std::int64_t row : {std::int64_t{0}, c.n / 2, c.n - 1}) {
      const double expected = formula(c, inputs, c.m - 1, row);
      EXPECT_NEAR(truth[static_cast<std::size_t>(row)], expected, 1e-5 + 1e-5 * std::abs(expected))
          << which.name;
    }
    EXPECT_THROW(oracle.truth("z", 0, truth), std::out_of_range);
  }
}

TEST(MatmulSuite, truth_is_made_in_parts_that_fit_together) {
  const MatmulCase c{.n = 70, .k = 96, .m = 67};
  Case which;
  which.parameters = c;
  const harness::TensorSet inputs = challenge().make_inputs(which, 5);
  std::vector<double> truth(static_cast<std::size_t>(c.m * c.n));
  challenge().oracle(which, inputs).truth("y", 0, truth);
  for (std::int64_t i = 0; i < c.m; ++i)
    for (std::int64_t row = 0; row < c.n; ++row)
      ASSERT_NEAR(truth[static_cast<std::size_t>(i * c.n + row)], formula(c, inputs, i, row), 1e-5)
          << i << ", " << row;
}

/// weight_16bit are the weights dequantizing makes, bit for bit.
TEST(MatmulSuite, sixteen_bit_weights_are_the_rounded_ones) {
  Case which;
  which.parameters = MatmulCase{.n = 65, .k = 333, .m = 1, .dtype = Dtype::kFloat16};
  const MatmulCase& c = parameters_of(which);
  const harness::TensorSet inputs = challenge().make_inputs(which, 5);
  const reference::nf4::Product product = reference_product(c, inputs);
  std::vector<std::byte> expected(static_cast<std::size_t>(c.n * c.k) * 2);
  reference::nf4::exact(product.weights, product.type, 0, c.n * c.k, expected.data());
  EXPECT_EQ(0, std::memcmp(expected.data(), inputs.at("weight_16bit").data, expected.size()));
}

}  // namespace
}  // namespace assay::suites::nf4::matmul
