// SPDX-License-Identifier: Apache-2.0
// Caught by `parity`: "The sum is written for later layers, and the norm reads x."
#include "reference/compile/eager/pointwise.hpp"
#include "suites/compile/mutants/mutant.hpp"

namespace assay::suites::compile::mutants {
namespace {

void call(const PointwiseCase& c, const Tensors& in, const Tensors& out) {
  eager_call(c, in, out);
  reference::compile::eager::rms_norm(in["x"], {}, in["weight"], kEps, {out["y"], {}, out["rstd"]});
}

const bool kThis =
    register_mutant({.piece = Piece::kRmsNorm,
                     .name = "residual_dropped",
                     .about = "normalizes x instead of x + residual",
                     .make_call = stateless(call),
                     .shows_in = [](const PointwiseCase& c) { return !c.backward && c.residual; }});

}  // namespace
}  // namespace assay::suites::compile::mutants
