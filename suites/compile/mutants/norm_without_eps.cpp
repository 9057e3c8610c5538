// SPDX-License-Identifier: Apache-2.0
// Caught by `parity`: "eps was for division by zero, and rows are never zero."
#include "reference/compile/eager/pointwise.hpp"
#include "suites/compile/mutants/mutant.hpp"

namespace assay::suites::compile::mutants {
namespace {

void call(const PointwiseCase&, const Tensors& in, const Tensors& out) {
  reference::compile::eager::rms_norm(in["x"], in["residual"], in["weight"], 0.0,
                                      {out["y"], out["sum"], out["rstd"]});
}

const bool kThis = register_mutant({.piece = Piece::kRmsNorm,
                                    .name = "norm_without_eps",
                                    .about = "leaves eps out of the root",
                                    .make_call = stateless(call),
                                    .shows_in = [](const PointwiseCase& c) { return !c.backward; }});

}  // namespace
}  // namespace assay::suites::compile::mutants
