// SPDX-License-Identifier: Apache-2.0
// Caught by `stale_input`: "The weights of the first call are kept in another layout and used ever after."
#include <memory>
#include <vector>

#include "suites/nf4/matmul/mutants/mutant.hpp"

namespace assay::suites::nf4::matmul::mutants {
namespace {

const harness::RegisterImplementation kThis(kMatmul, [] {
  return mutant("repacked_once", harness::checks::kStaleInput, "keeps the codes it was first called with",
                []() -> Body {
                  return [kept = std::make_shared<std::vector<std::uint8_t>>()](const Problem& p) {
                    if (kept->empty())
                      kept->assign(p.weights.packed,
                                   p.weights.packed + p.c.n * p.c.k / 2 + p.c.n * p.c.k % 2);
                    Problem old = p;
                    old.weights.packed = kept->data();
                    multiply_plain<PlainSteps>(old, 0, p.c.n);
                  };
                });
});

}  // namespace
}  // namespace assay::suites::nf4::matmul::mutants
