// SPDX-License-Identifier: Apache-2.0
// Caught by `input_mutated`: "silu in place saves a buffer, and the backward pass reads silu(gate) for gate."
#include <ATen/TensorOperators.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/silu.h>

#include "suites/compile/mutants/mutant.hpp"

namespace assay::suites::compile::mutants {
namespace {

void call(const PointwiseCase& c, const Tensors& in, const Tensors& out) {
  auto [gate, up] = gate_and_up(c, in);
  at::silu_(gate);
  out["y"].copy_(gate * up);
}

const bool kThis = register_mutant({.piece = Piece::kSwiglu,
                                    .name = "swiglu_gate_mutated",
                                    .check = harness::checks::kInputMutated,
                                    .about = "writes silu(gate) over gate",
                                    .make_call = stateless(call),
                                    .shows_in = [](const PointwiseCase& c) { return !c.backward; }});

}  // namespace
}  // namespace assay::suites::compile::mutants
