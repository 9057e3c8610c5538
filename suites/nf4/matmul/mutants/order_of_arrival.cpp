// SPDX-License-Identifier: Apache-2.0
// Caught by `determinism`: "Three parts of K reach a 16-bit y in another order each time, all orders being
// right."
#include <memory>

#include "suites/nf4/matmul/mutants/mutant.hpp"

namespace assay::suites::nf4::matmul::mutants {
namespace {

/// Call number `call` begins with another part.
void add_parts(const Problem& p, std::int64_t i, std::int64_t row, int call) {
  constexpr int kParts = 3;
  float sum = 0.0f;
  for (int part = 0; part < kParts; ++part) {
    const std::int64_t which = (call + part) % kParts;
    const float more =
        partial_sum<PlainSteps>(p, i, row, which * p.c.k / kParts, (which + 1) * p.c.k / kParts);
    sum = rounded_to(p.c.dtype, sum + more);
  }
  nf4::mutants::store(p.y, i * p.c.n + row, sum);
}

const harness::RegisterImplementation kThis(kMatmul, [] {
  return mutant("order_of_arrival", harness::checks::kDeterminism, "adds parts of K in the order they arrive",
                []() -> Body {
                  return [calls = std::make_shared<int>(0)](const Problem& p) {
                    ++*calls;
                    for (std::int64_t i = 0; i < p.c.m; ++i)
                      for (std::int64_t row = 0; row < p.c.n; ++row) add_parts(p, i, row, *calls);
                  };
                });
});

}  // namespace
}  // namespace assay::suites::nf4::matmul::mutants
