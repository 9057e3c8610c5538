// SPDX-License-Identifier: Apache-2.0
// Caught by `parity`: "The layer was passed as a module, so its weight got no gradient."
#include <ATen/ops/zeros_like.h>

#include "suites/backprop/mutants/mutant.hpp"

namespace assay::suites::backprop::mutants {
namespace {

std::vector<at::Tensor> call(const BackpropCase& c, const CaseTensors& t) {
  std::vector<at::Tensor> out = right_cross_entropy(c, t);
  out[2] = at::zeros_like(out[2]);
  return out;
}

const bool kThis = register_mutant({.name = "missing_weight_gradient",
                                    .about = "leaves dW zero",
                                    .make_call = stateless(call),
                                    .shows_in = is_plain_cross_entropy});

}  // namespace
}  // namespace assay::suites::backprop::mutants
