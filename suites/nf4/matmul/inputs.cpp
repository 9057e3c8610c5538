// SPDX-License-Identifier: Apache-2.0
#include "suites/nf4/inputs.hpp"

#include <random>

#include "harness/verify/ulp.hpp"
#include "kernels/nf4/dequantize_cpu.hpp"
#include "suites/nf4/matmul/suite.hpp"

namespace assay::suites::nf4::matmul {
namespace {

void fill_normal(std::uint64_t seed, const harness::TensorView& view) {
  std::mt19937_64 random(seed);
  std::normal_distribution<float> normal;
  auto* to = view.as<std::uint16_t>();
  const bool f16 = view.dtype == harness::Dtype::kFloat16;
  for (std::int64_t i = 0; i < view.numel(); ++i) {
    const double value = static_cast<double>(normal(random));
    to[i] = f16 ? harness::encode<harness::Float16Format>(value)
                : harness::encode<harness::Bfloat16Format>(value);
  }
}

}  // namespace

harness::TensorSet make_inputs(const harness::Case& which, std::uint64_t seed) {
  const MatmulCase& c = parameters_of(which);
  harness::Case weights;
  weights.parameters = c.weights();
  weights.seed = which.seed;
  harness::TensorSet set = nf4::make_inputs(weights, seed);
  fill_normal(seed, set.add({"x", c.dtype, {c.m, c.k}}));
  const harness::TensorView& rounded = set.add({"weight_16bit", c.dtype, {c.n, c.k}});
  kernels::nf4::dequantize_cpu(packed_weights(c, set), rounded.data, scalar_type(c.dtype));
  return set;
}

}  // namespace assay::suites::nf4::matmul
