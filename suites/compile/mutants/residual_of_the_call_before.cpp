// SPDX-License-Identifier: Apache-2.0
// Caught by `stale_input`: "The residual is the same tensor all through the step, so a copy was kept."
#include <memory>

#include "suites/compile/mutants/mutant.hpp"

namespace assay::suites::compile::mutants {
namespace {

TorchCall make_call() {
  return
      [kept = std::make_shared<at::Tensor>()](const PointwiseCase& c, const Tensors& in, const Tensors& out) {
        if (!kept->defined())
          *kept = in["residual"].clone();
        Tensors stale = in;
        stale.add("residual", *kept);
        eager_call(c, stale, out);
      };
}

// Right until the residual changes in place.
const bool kThis =
    register_mutant({.piece = Piece::kRmsNorm,
                     .name = "residual_of_the_call_before",
                     .check = harness::checks::kStaleInput,
                     .about = "adds the residual of its first call",
                     .make_call = make_call,
                     .shows_in = [](const PointwiseCase& c) { return !c.backward && c.residual; }});

}  // namespace
}  // namespace assay::suites::compile::mutants
