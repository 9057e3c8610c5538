// SPDX-License-Identifier: Apache-2.0
// Caught by `parity`: "Which half of gate_up is the gate? The other one."
#include "reference/compile/eager/pointwise.hpp"
#include "suites/compile/mutants/mutant.hpp"

namespace assay::suites::compile::mutants {
namespace {

void call(const PointwiseCase& c, const Tensors& in, const Tensors& out) {
  const auto [gate, up] = gate_and_up(c, in);
  reference::compile::eager::swiglu(up, gate, out["y"]);
}

const bool kThis = register_mutant({.piece = Piece::kSwiglu,
                                    .name = "swiglu_gate_and_up_swapped",
                                    .about = "gate * silu(up)",
                                    .make_call = stateless(call),
                                    .shows_in = [](const PointwiseCase& c) { return !c.backward; }});

}  // namespace
}  // namespace assay::suites::compile::mutants
