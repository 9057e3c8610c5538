// SPDX-License-Identifier: Apache-2.0
// Caught by `parity`: "Packed documents start at position 0 again; the row number is not the position."
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/outer.h>

#include "suites/compile/mutants/mutant.hpp"

namespace assay::suites::compile::mutants {
namespace {

void call(const PointwiseCase& c, const Tensors& in, const Tensors& out) {
  const at::Tensor frequency = in["inverse_frequency"];
  const at::Tensor half = at::outer(at::arange(c.tokens, frequency.options()), frequency);
  const at::Tensor angle = at::cat({half, half}, 1);
  Tensors counted;
  for (const char* side : {"q", "k"}) counted.add(side, in[side]);
  counted.add("cos", angle.cos().to(in["q"].scalar_type()));
  counted.add("sin", angle.sin().to(in["q"].scalar_type()));
  eager_call(c, counted, out);
}

const bool kThis = register_mutant({.piece = Piece::kRope,
                                    .name = "rope_positions_not_reset",
                                    .about = "counts tokens through all documents of a packed row",
                                    .make_call = stateless(call),
                                    .shows_in = [](const PointwiseCase& c) { return c.packed; }});

}  // namespace
}  // namespace assay::suites::compile::mutants
