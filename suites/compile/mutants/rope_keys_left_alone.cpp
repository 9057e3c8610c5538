// SPDX-License-Identifier: Apache-2.0
// Caught by `parity`: "Fewer key heads than query heads: the launch counted neither, and keys went out as
// they came."
#include "suites/compile/mutants/mutant.hpp"

namespace assay::suites::compile::mutants {
namespace {

void call(const PointwiseCase& c, const Tensors& in, const Tensors& out) {
  eager_call(c, in, out);
  out["k_out"].copy_(in["k"]);
}

const bool kThis = register_mutant({.piece = Piece::kRope,
                                    .name = "rope_keys_left_alone",
                                    .about = "turns the queries only",
                                    .make_call = stateless(call),
                                    .shows_in = [](const PointwiseCase&) { return true; }});

}  // namespace
}  // namespace assay::suites::compile::mutants
