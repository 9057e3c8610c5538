// SPDX-License-Identifier: Apache-2.0
// Caught by `parity`: "Neighbours are paired, as in the paper and in GPT-J. Hugging Face's weights pair i
// with i + d/2."
#include <ATen/TensorOperators.h>
#include <ATen/ops/stack.h>

#include "suites/compile/mutants/mutant.hpp"

namespace assay::suites::compile::mutants {
namespace {

void turn(const PointwiseCase& c, const Tensors& in, const at::Tensor& rows, const at::Tensor& out) {
  const at::Tensor x = as_heads(c, rows).unflatten(-1, {c.head_dim / 2, 2});
  const at::Tensor cosine = in["cos"].narrow(1, 0, c.head_dim / 2).unsqueeze(1);
  at::Tensor sine = in["sin"].narrow(1, 0, c.head_dim / 2).unsqueeze(1);
  if (c.backward)
    sine = -sine;
  const at::Tensor even = x.select(-1, 0), odd = x.select(-1, 1);
  as_heads(c, out).copy_(at::stack({even * cosine - odd * sine, odd * cosine + even * sine}, -1).flatten(-2));
}

const bool kThis = register_mutant(
    {.piece = Piece::kRope,
     .name = "rope_interleaved_pairs",
     .about = "turns elements 2i and 2i + 1 together",
     .make_call = stateless([](const PointwiseCase& c, const Tensors& in, const Tensors& out) {
       turn(c, in, in["q"], out["q_out"]);
       turn(c, in, in["k"], out["k_out"]);
     }),
     .shows_in = [](const PointwiseCase&) { return true; }});

}  // namespace
}  // namespace assay::suites::compile::mutants
