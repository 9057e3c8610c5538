// SPDX-License-Identifier: Apache-2.0
// Caught by `parity`: "Blocks write their sums over each other: dw is that of the last rows."
#include <ATen/TensorOperators.h>
#include <ATen/ops/sum.h>

#include <algorithm>

#include "suites/compile/mutants/mutant.hpp"

namespace assay::suites::compile::mutants {
namespace {

void call(const PointwiseCase& c, const Tensors& in, const Tensors& out) {
  eager_call(c, in, out);
  const std::int64_t rows = std::min<std::int64_t>(64, c.tokens), first = c.tokens - rows;
  const at::Tensor unit =
      in["h"].narrow(0, first, rows).to(at::kFloat) * in["rstd"].narrow(0, first, rows).unsqueeze(-1);
  out["dw"].copy_((in["dy"].narrow(0, first, rows) * unit).sum(0));
}

const bool kThis = register_mutant({.piece = Piece::kRmsNorm,
                                    .name = "norm_weight_gradient_of_last_block",
                                    .about = "sums dw over the last 64 rows",
                                    .make_call = stateless(call),
                                    .shows_in = [](const PointwiseCase& c) { return c.trains_weight; }});

}  // namespace
}  // namespace assay::suites::compile::mutants
