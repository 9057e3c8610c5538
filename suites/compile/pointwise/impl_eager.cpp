// SPDX-License-Identifier: Apache-2.0
// The baseline: torch's operations one by one, as transformers writes them.
#include "harness/core/registry.hpp"
#include "reference/compile/eager/pointwise.hpp"
#include "suites/compile/pointwise/torch_adapter.hpp"

namespace assay::suites::compile {
namespace {

namespace eager = reference::compile::eager;

void norm(const PointwiseCase& c, const Tensors& in, const Tensors& out) {
  if (c.backward)
    return eager::rms_norm_backward(in["h"], in["weight"], in["rstd"], in["dy"], in["dsum"], out["dh"],
                                    out["dw"]);
  eager::rms_norm(in["x"], in["residual"], in["weight"], kEps, {out["y"], out["sum"], out["rstd"]});
}

void rope(const PointwiseCase& c, const Tensors& in, const Tensors& out) {
  const auto turn = c.backward ? eager::rotate_backward : eager::rotate;
  turn(as_heads(c, in["q"]), in["cos"], in["sin"], as_heads(c, out["q_out"]));
  turn(as_heads(c, in["k"]), in["cos"], in["sin"], as_heads(c, out["k_out"]));
}

void swiglu(const PointwiseCase& c, const Tensors& in, const Tensors& out) {
  const auto [gate, up] = gate_and_up(c, in);
  if (!c.backward)
    return eager::swiglu(gate, up, out["y"]);
  const auto [dgate, dup] = gradients_of_gate_and_up(c, out);
  eager::swiglu_backward(gate, up, in["dy"], dgate, dup, out["y"]);
}

harness::Implementation implementation(harness::DeviceKind device) {
  harness::Implementation out = torch_implementation(
      "eager", harness::Role::kBaseline, device, "torch's operations one by one, as transformers writes them",
      eager_call, {"reference/compile/eager/pointwise.cpp", "suites/compile/pointwise/impl_eager.cpp"});
  out.headline_baseline = true;
  return out;
}

const bool kRegistered = [] {
  for (const Piece piece : kPieces) {
    for (const auto device : {harness::DeviceKind::kCpu, harness::DeviceKind::kCuda})
      const harness::RegisterImplementation add(challenge_name(piece),
                                                [device] { return implementation(device); });
  }
  return true;
}();

}  // namespace

void eager_call(const PointwiseCase& c, const Tensors& in, const Tensors& out) {
  switch (c.piece) {
    case Piece::kRmsNorm:
      return norm(c, in, out);
    case Piece::kRope:
      return rope(c, in, out);
    case Piece::kSwiglu:
      return swiglu(c, in, out);
  }
}

}  // namespace assay::suites::compile
