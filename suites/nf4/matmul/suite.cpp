// SPDX-License-Identifier: Apache-2.0
// nf4/matmul as the harness sees it: cases, inputs, oracle, work. Implementations register themselves, one
// file each.
#include "suites/nf4/matmul/suite.hpp"

#include <algorithm>

#include "harness/core/registry.hpp"
#include "harness/verify/lazy_oracle.hpp"
#include "harness/verify/parallel.hpp"
#include "suites/nf4/cpu_adapter.hpp"
#include "suites/nf4/matmul/cases.hpp"
#include "suites/nf4/matmul/checks.hpp"

namespace assay::suites::nf4::matmul {
namespace {

using harness::Case;
using harness::TensorSet;

/// y [m, n] in f64, made in parts of 64 rows and 32 columns: a part's rows of x are converted and its rows of
/// W decoded once.
std::vector<double> truth_of(const reference::nf4::Product& product) {
  constexpr std::int64_t kRows = 64, kColumns = 32;
  const std::int64_t bands = (product.n + kColumns - 1) / kColumns;
  std::vector<double> y(static_cast<std::size_t>(product.m * product.n));
  harness::parallel_for((product.m + kRows - 1) / kRows * bands, [&](std::int64_t part) {
    const std::int64_t row = part / bands * kRows, begin = part % bands * kColumns;
    const std::int64_t width = std::min(product.n - begin, kColumns);
    reference::nf4::Product rows = product;
    rows.m = std::min(product.m - row, kRows);
    rows.left = static_cast<const std::uint16_t*>(product.left) + row * product.k;
    std::vector<double> sums(static_cast<std::size_t>(rows.m * width));
    reference::nf4::truth(rows, begin, begin + width, sums);
    for (std::int64_t i = 0; i < rows.m; ++i)
      std::copy_n(sums.begin() + i * width, width, y.begin() + (row + i) * product.n + begin);
  });
  return y;
}

harness::Oracle make_oracle(const Case& which, const TensorSet& inputs) {
  const reference::nf4::Product product = reference_product(parameters_of(which), inputs);
  return harness::lazy_oracle([product] { return truth_of(product); },
                              [](const std::vector<double>& y, std::string_view output) {
                                return output == "y" ? y.data() : nullptr;
                              });
}

harness::Challenge make_challenge() {
  harness::Challenge challenge;
  challenge.suite = "nf4";
  challenge.name = kMatmul;
  challenge.about = "y = x · Wᵀ with W in 4 bits and nested absmax, in f16 or bf16";
  // 1.2 times the baseline's error over any tile and the whole, no floor. The one worst element of a tile may
  // be twice as far as that from the baseline's worst, which is a single draw too.
  challenge.parity = {.exact = false, .k = 1.2, .floor_ulp = 0.0, .element_slack = 2.0};
  challenge.cases = matmul_cases();
  challenge.make_inputs = make_inputs;
  challenge.outputs = [](const Case& which) -> std::vector<harness::TensorSpec> {
    const MatmulCase& c = parameters_of(which);
    return {{"y", c.dtype, {c.m, c.n}}};
  };
  challenge.oracle = make_oracle;
  challenge.work = [](const Case& which) { return work_of(parameters_of(which)); };
  challenge.checks = matmul_checks();
  return challenge;
}

const harness::RegisterChallenge kThis(make_challenge);

}  // namespace

DequantizeCase MatmulCase::weights() const {
  return {.rows = n, .cols = k, .dtype = dtype, .block_size = block_size};
}

const MatmulCase& parameters_of(const Case& which) {
  return std::any_cast<const MatmulCase&>(which.parameters);
}

harness::Work work_of(const MatmulCase& c) {
  const std::int64_t blocks = c.weights().num_blocks();
  const std::int64_t statistics = blocks + (blocks + 255) / 256 * 4 + 1024 + 4;
  const auto element = static_cast<std::int64_t>(harness::size_of(c.dtype));
  const char* const matrix_units =
      c.dtype == harness::Dtype::kFloat16 ? "matmul_f16_tflops" : "matmul_bf16_tflops";
  return {.bytes = (c.n * c.k + 1) / 2 + statistics + (c.m * c.k + c.m * c.n) * element,
          .flops = 2 * c.m * c.n * c.k,
          .ceiling = c.m <= 64 ? "copy_gbps" : matrix_units};
}

kernels::nf4::PackedWeights packed_weights(const MatmulCase& c, const TensorSet& inputs) {
  return nf4::packed_weights(c.weights(), inputs);
}

reference::nf4::Product reference_product(const MatmulCase& c, const TensorSet& inputs) {
  return {.weights = as_reference(packed_weights(c, inputs)),
          .m = c.m,
          .n = c.n,
          .k = c.k,
          .type = as_reference(scalar_type(c.dtype)),
          .left = inputs.at("x").data};
}

}  // namespace assay::suites::nf4::matmul
