// SPDX-License-Identifier: Apache-2.0
// Caught by `parity`: "The row is squared and averaged in its own type; the upcast cost a copy."
#include <ATen/TensorOperators.h>
#include <ATen/ops/rsqrt.h>

#include "suites/compile/mutants/mutant.hpp"

namespace assay::suites::compile::mutants {
namespace {

void call(const PointwiseCase&, const Tensors& in, const Tensors& out) {
  const at::Tensor x = in["x"], rstd = at::rsqrt((x * x).mean(-1, /*keepdim=*/true) + kEps);
  out["rstd"].copy_(rstd.squeeze(-1));
  out["y"].copy_(in["weight"] * (x * rstd));
}

const bool kThis =
    register_mutant({.piece = Piece::kRmsNorm,
                     .name = "norm_sum_in_16_bits",
                     .about = "has no f32 inside",
                     .make_call = stateless(call),
                     .shows_in = [](const PointwiseCase& c) {
                       return !c.backward && !c.residual && c.dtype != harness::Dtype::kFloat32;
                     }});

}  // namespace
}  // namespace assay::suites::compile::mutants
