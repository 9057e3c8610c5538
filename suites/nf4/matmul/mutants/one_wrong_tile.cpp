// SPDX-License-Identifier: Apache-2.0
// Caught by `parity`: "Sixteen columns of y are those of their neighbours, all others are right."
#include "suites/nf4/matmul/mutants/mutant.hpp"

namespace assay::suites::nf4::matmul::mutants {
namespace {

const harness::RegisterImplementation kThis(kMatmul, [] {
  return mutant("one_wrong_tile", harness::checks::kParity, "gives 16 rows of W the sums of the next 16",
                []() -> Body {
                  return [](const Problem& p) {
                    multiply_plain<PlainSteps>(p, 0, p.c.n);
                    for (std::int64_t row = 16; row < 32; ++row)
                      nf4::mutants::store(p.y, row, value_of(p.y, row + 16));
                  };
                });
});

}  // namespace
}  // namespace assay::suites::nf4::matmul::mutants
