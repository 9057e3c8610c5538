// SPDX-License-Identifier: Apache-2.0
// Caught by `canary`: "The last tile of 16 is stored whole, past the end of y."
#include "suites/nf4/matmul/mutants/mutant.hpp"

namespace assay::suites::nf4::matmul::mutants {
namespace {

const harness::RegisterImplementation kThis(kMatmul, [] {
  return mutant("write_past_end", harness::checks::kCanary,
                "stores whole tiles of 16 where fewer rows of W are left",
                []() -> Body {
                  return [](const Problem& p) {
                    multiply_plain<PlainSteps>(p, 0, p.c.n);
                    for (std::int64_t row = p.c.n; row % 16 != 0; ++row)
                      nf4::mutants::store(p.y, (p.c.m - 1) * p.c.n + row, 0.0f);
                  };
                },
                {.ragged_columns = true});
});

}  // namespace
}  // namespace assay::suites::nf4::matmul::mutants
