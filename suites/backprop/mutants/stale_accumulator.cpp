// SPDX-License-Identifier: Apache-2.0
// Caught by `parity`: "The buffer of dW is kept between calls and nobody clears it."
#include <ATen/TensorOperators.h>

#include <memory>

#include "suites/backprop/mutants/mutant.hpp"

namespace assay::suites::backprop::mutants {
namespace {

TorchCall make_call() {
  return [sum = std::make_shared<at::Tensor>()](const BackpropCase& c, const CaseTensors& t) {
    std::vector<at::Tensor> out = right_cross_entropy(c, t);
    const at::Tensor own = out[2].to(at::kFloat);
    *sum = sum->defined() ? *sum + own : own;
    out[2] = sum->to(t.weight.scalar_type());
    return out;
  };
}

// Right once: the run that is judged first passes, the one after it does not.
const bool kThis = register_mutant({.name = "stale_accumulator",
                                    .about = "adds to the dW of the call before",
                                    .make_call = make_call,
                                    .shows_in = is_plain_cross_entropy});

}  // namespace
}  // namespace assay::suites::backprop::mutants
