// SPDX-License-Identifier: Apache-2.0
// Caught by `parity`: "rstd is taken for a constant: its own derivative is missing."
#include <ATen/TensorOperators.h>

#include "suites/compile/mutants/mutant.hpp"

namespace assay::suites::compile::mutants {
namespace {

void call(const PointwiseCase&, const Tensors& in, const Tensors& out) {
  out["dh"].copy_((in["dy"] * in["weight"]).to(at::kFloat) * in["rstd"].unsqueeze(-1));
}

const bool kThis =
    register_mutant({.piece = Piece::kRmsNorm,
                     .name = "norm_gradient_without_projection",
                     .about = "dh = rstd * dy * w",
                     .make_call = stateless(call),
                     .shows_in = [](const PointwiseCase& c) { return c.backward && !c.residual; }});

}  // namespace
}  // namespace assay::suites::compile::mutants
