// SPDX-License-Identifier: Apache-2.0
// Caught by `parity`: "The backward pass is the same kernel, and nobody flipped the sign of the sine."
#include "suites/compile/mutants/mutant.hpp"

namespace assay::suites::compile::mutants {
namespace {

void call(const PointwiseCase& c, const Tensors& in, const Tensors& out) {
  PointwiseCase forward = c;
  forward.backward = false;
  eager_call(forward, in, out);
}

const bool kThis = register_mutant({.piece = Piece::kRope,
                                    .name = "rope_turned_on_backward",
                                    .about = "turns gradients forwards instead of back",
                                    .make_call = stateless(call),
                                    .shows_in = [](const PointwiseCase& c) { return c.backward; }});

}  // namespace
}  // namespace assay::suites::compile::mutants
