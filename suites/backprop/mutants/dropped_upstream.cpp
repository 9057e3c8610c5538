// SPDX-License-Identifier: Apache-2.0
// Caught by `parity`: "backward returns the stored gradient; with a loss scale nothing is scaled."
#include <ATen/ops/ones_like.h>

#include "suites/backprop/mutants/mutant.hpp"

namespace assay::suites::backprop::mutants {
namespace {

std::vector<at::Tensor> call(const BackpropCase& c, const CaseTensors& t) {
  const auto chunks = chunks_of_rows(c, t);
  return put_together(t, chunks, right_factors(chunks), at::ones_like(t.upstream));
}

const bool kThis = register_mutant({.name = "dropped_upstream",
                                    .about = "takes the upstream gradient for 1",
                                    .make_call = stateless(call),
                                    .shows_in = is_plain_cross_entropy});

}  // namespace
}  // namespace assay::suites::backprop::mutants
