// SPDX-License-Identifier: Apache-2.0
// The baseline: torch's operations one by one, as transformers writes them.
#include <ATen/Parallel.h>

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

/// torch with one thread for the length of a call.
class OneThread {
 public:
  OneThread() : before_(at::get_num_threads()) { at::set_num_threads(1); }
  ~OneThread() { at::set_num_threads(before_); }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int before_;
};
void one_thread_call(const PointwiseCase& c, const Tensors& in, const Tensors& out) {
  const OneThread one;
  eager_call(c, in, out);
}

harness::Implementation implementation(const char* name, harness::DeviceKind device, const char* about,
                                       const TorchCall& call) {
  harness::Implementation out = torch_implementation(
      name, harness::Role::kBaseline, device, about, call,
      {"reference/compile/eager/pointwise.cpp", "suites/compile/pointwise/impl_eager.cpp"});
  out.headline_baseline = true;
  return out;
}

// On the CPU two compete: where other programs take turns on the cores, torch's threads made a call of 0.2 ms
// one of 98 ms now and then (2 shared cores, 2026-11), and a speedup against that says nothing about
// anything.
const bool kRegistered = [] {
  constexpr const char* kAbout = "torch's operations one by one, as transformers writes them";
  for (const Piece piece : kPieces) {
    const std::string challenge = challenge_name(piece);
    const harness::RegisterImplementation gpu(
        challenge, [] { return implementation("eager", harness::DeviceKind::kCuda, kAbout, eager_call); });
    const harness::RegisterImplementation cpu(
        challenge, [] { return implementation("eager", harness::DeviceKind::kCpu, kAbout, eager_call); });
    const harness::RegisterImplementation one(challenge, [] {
      return implementation("eager_one_thread", harness::DeviceKind::kCpu, "The same on one thread",
                            one_thread_call);
    });
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
