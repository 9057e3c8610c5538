// SPDX-License-Identifier: Apache-2.0
// Caught by `parity`: "The block works on a power of two of elements, and that is what the sum was divided
// by."
#include <ATen/TensorOperators.h>
#include <ATen/ops/rsqrt.h>

#include <bit>

#include "suites/compile/mutants/mutant.hpp"

namespace assay::suites::compile::mutants {
namespace {

void call(const PointwiseCase& c, const Tensors& in, const Tensors& out) {
  const auto padded = static_cast<double>(std::bit_ceil(static_cast<std::uint64_t>(c.width)));
  const at::Tensor h = in["x"].to(at::kFloat);
  const at::Tensor rstd = at::rsqrt(h.pow(2).sum(-1, /*keepdim=*/true) / padded + kEps);
  out["rstd"].copy_(rstd.squeeze(-1));
  out["y"].copy_(in["weight"] * (h * rstd).to(in["x"].scalar_type()));
}

const bool kThis = register_mutant(
    {.piece = Piece::kRmsNorm,
     .name = "norm_mean_of_padded_width",
     .about = "divides the sum of squares by the padded width",
     .make_call = stateless(call),
     .shows_in = [](const PointwiseCase& c) { return !c.backward && !c.residual && c.width % 2 == 1; }});

}  // namespace
}  // namespace assay::suites::compile::mutants
