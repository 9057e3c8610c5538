// SPDX-License-Identifier: Apache-2.0
// Caught by `input_mutated`: "x is scaled in place and not put back."
#include "suites/nf4/matmul/mutants/mutant.hpp"

namespace assay::suites::nf4::matmul::mutants {
namespace {

const harness::RegisterImplementation kThis(kMatmul, [] {
  return mutant("input_mutated", harness::checks::kInputMutated, "leaves a scaled x behind", []() -> Body {
    return [](const Problem& p) {
      multiply_plain<PlainSteps>(p, 0, p.c.n);
      for (std::int64_t i = 0; i < p.x.numel(); ++i) nf4::mutants::store(p.x, i, 2.0f * value_of(p.x, i));
    };
  });
});

}  // namespace
}  // namespace assay::suites::nf4::matmul::mutants
