// SPDX-License-Identifier: Apache-2.0
// Caught by `parity`: "What reaches the sum past the norm was overwritten instead of added."
#include "suites/compile/mutants/mutant.hpp"

namespace assay::suites::compile::mutants {
namespace {

void call(const PointwiseCase& c, const Tensors& in, const Tensors& out) {
  Tensors without = in;
  without.add("dsum", {});
  eager_call(c, without, out);
}

const bool kThis =
    register_mutant({.piece = Piece::kRmsNorm,
                     .name = "norm_gradient_past_the_norm_lost",
                     .about = "drops the residual stream's gradient",
                     .make_call = stateless(call),
                     .shows_in = [](const PointwiseCase& c) { return c.backward && c.residual; }});

}  // namespace
}  // namespace assay::suites::compile::mutants
