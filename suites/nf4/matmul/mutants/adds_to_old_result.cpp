// SPDX-License-Identifier: Apache-2.0
// Caught by `unwritten`: "Parts of K are added to whatever y held."
#include "suites/nf4/matmul/mutants/mutant.hpp"

namespace assay::suites::nf4::matmul::mutants {
namespace {

const harness::RegisterImplementation kThis(kMatmul, [] {
  return mutant(
      "adds_to_old_result", harness::checks::kUnwritten, "adds to y without clearing it", []() -> Body {
        return [](const Problem& p) {
          for (std::int64_t i = 0; i < p.c.m; ++i)
            for (std::int64_t row = 0; row < p.c.n; ++row) {
              const std::int64_t at = i * p.c.n + row;
              nf4::mutants::store(p.y, at, value_of(p.y, at) + partial_sum<PlainSteps>(p, i, row, 0, p.c.k));
            }
        };
      });
});

}  // namespace
}  // namespace assay::suites::nf4::matmul::mutants
