// SPDX-License-Identifier: Apache-2.0
// Caught by `unwritten`: "Rows of W past the last whole tile of 16 give no result."
#include "suites/nf4/matmul/mutants/mutant.hpp"

namespace assay::suites::nf4::matmul::mutants {
namespace {

const harness::RegisterImplementation kThis(kMatmul, [] {
  return mutant(
      "last_rows_unwritten", harness::checks::kUnwritten, "writes whole tiles of 16 rows of W alone",
      []() -> Body { return [](const Problem& p) { multiply_plain<PlainSteps>(p, 0, p.c.n / 16 * 16); }; },
      {.ragged_columns = true});
});

}  // namespace
}  // namespace assay::suites::nf4::matmul::mutants
