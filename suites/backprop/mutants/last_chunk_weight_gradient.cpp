// SPDX-License-Identifier: Apache-2.0
// Caught by `parity`: "beta = 0 in the product that was to add to dW."
#include <ATen/TensorOperators.h>

#include "suites/backprop/mutants/mutant.hpp"

namespace assay::suites::backprop::mutants {
namespace {

std::vector<at::Tensor> call(const BackpropCase& c, const CaseTensors& t) {
  const auto chunks = chunks_of_rows(c, t);
  std::vector<at::Tensor> out = put_together(t, chunks, right_factors(chunks), t.upstream);
  const at::Tensor last = chunks.back().gradients[1] * right_factors(chunks).back() * t.upstream;
  out[2] = last.to(t.weight.scalar_type());
  return out;
}

const bool kThis = register_mutant({.name = "last_chunk_weight_gradient",
                                    .about = "dW holds the last chunk alone",
                                    .make_call = stateless(call),
                                    .shows_in = is_plain_cross_entropy});

}  // namespace
}  // namespace assay::suites::backprop::mutants
