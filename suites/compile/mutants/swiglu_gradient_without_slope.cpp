// SPDX-License-Identifier: Apache-2.0
// Caught by `parity`: "dgate = dy * up * sigma(gate): the derivative of the sigmoid itself is missing."
#include <ATen/TensorOperators.h>

#include "suites/compile/mutants/mutant.hpp"

namespace assay::suites::compile::mutants {
namespace {

void call(const PointwiseCase& c, const Tensors& in, const Tensors& out) {
  eager_call(c, in, out);
  const auto [gate, up] = gate_and_up(c, in);
  gradients_of_gate_and_up(c, out).gate.copy_((in["dy"] * up).to(at::kFloat) * gate.to(at::kFloat).sigmoid());
}

const bool kThis = register_mutant({.piece = Piece::kSwiglu,
                                    .name = "swiglu_gradient_without_slope",
                                    .about = "leaves gate * sigma' out of silu'",
                                    .make_call = stateless(call),
                                    .shows_in = [](const PointwiseCase& c) { return c.backward; }});

}  // namespace
}  // namespace assay::suites::compile::mutants
