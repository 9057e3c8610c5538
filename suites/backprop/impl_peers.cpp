// SPDX-License-Identifier: Apache-2.0
// Peers written in Python, run inside this process on the same tensors: eager torch, torch.compile, Liger,
// Apple's cut cross entropy, QuACK. Whichever is not installed is skipped.
#include <filesystem>
#include <optional>
#include <sstream>

#include "harness/core/registry.hpp"
#include "harness/python/python.hpp"
#include "suites/backprop/suite.hpp"

namespace assay::suites::backprop {
namespace {

namespace fs = std::filesystem;
using harness::DeviceKind;

struct Peer {
  const char* name;
  LossKind loss;
  DeviceKind device;
  const char* about;
  bool synchronises = false;
  double k = 16.0;  ///< of the plain version's error; its own is in the record
};

// Filtering makes whole tiles of dW zero where every gradient is below 2⁻¹².
constexpr double kFiltered = 4096.0;
// Sums dW over chunks in 16 bits.
constexpr double kSumsIn16Bits = 64.0;

// Liger reads its count of labels on the host, cut cross entropy compacts its rows there.
constexpr Peer kPeers[] = {
    {"eager", LossKind::kCrossEntropy, DeviceKind::kCpu, "torch, full f32 logits, from Python"},
    {"eager", LossKind::kCrossEntropy, DeviceKind::kCuda, "torch, full f32 logits, from Python"},
    {"torch_compile", LossKind::kCrossEntropy, DeviceKind::kCuda, "The same under torch.compile"},
    {"liger", LossKind::kCrossEntropy, DeviceKind::kCuda, "Liger's fused linear cross entropy (Triton)",
     true},
    {"cce", LossKind::kCrossEntropy, DeviceKind::kCuda, "Apple's cut cross entropy, gradients filtered", true,
     kFiltered},
    {"cce_exact", LossKind::kCrossEntropy, DeviceKind::kCuda, "Apple's cut cross entropy, nothing filtered",
     true},
    {"quack", LossKind::kCrossEntropy, DeviceKind::kCuda, "QuACK's chunked linear cross entropy (CuTe DSL)"},
    {"liger_grpo", LossKind::kGrpo, DeviceKind::kCuda, "Liger's chunked GRPO loss", true, kSumsIn16Bits},
};

fs::path script() {
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error).parent_path();
  if (const fs::path beside = program / "peers" / "linear_losses.py"; fs::is_regular_file(beside, error))
    return beside;
  return fs::path(ASSAY_PEERS) / "linear_losses.py";
}

/// The plain loss is what all of them offer.
std::optional<std::string> beyond_peers(const harness::Case& which, const harness::DeviceFacts&) {
  const BackpropCase& c = parameters_of(which);
  const bool plain = !c.nf4 && !c.bias && c.rank == 0 && c.softcap == 0 && c.label_smoothing == 0 &&
                     c.z_loss == 0 && !c.class_weights && !c.soft_targets && c.delta == 0 &&
                     c.ignored != Ignored::kAll && c.normalization == Normalization::kSequence &&
                     (c.temperature == 1.0 || c.loss == LossKind::kGrpo);
  return plain ? std::nullopt : std::optional<std::string>("peers are run on the plain loss only");
}

std::string described(const BackpropCase& c, bool into) {
  std::ostringstream out;
  out << std::boolalpha << "{\"frozen\":" << c.frozen << ",\"into\":" << into
      << ",\"temperature\":" << c.temperature << ",\"clip_low\":" << kClipLow
      << ",\"clip_high\":" << kClipHigh << ",\"kl_coefficient\":" << kKlCoefficient << "}";
  return out.str();
}

harness::Implementation implementation(const Peer& peer) {
  harness::Implementation out;
  out.name = std::string(peer.name) + (peer.device == DeviceKind::kCpu ? "_python_cpu" : "");
  out.role = harness::Role::kPeer;
  out.device = peer.device;
  out.about = peer.about;
  out.synchronises = peer.synchronises;
  out.deterministic = false;  // not ours to promise
  out.own_k = peer.k;
  out.find_version = [name = std::string(peer.name)] {
    return harness::Python::instance().version(script(), name);
  };
  out.unsupported = beyond_peers;
  out.prepare = [name = std::string(peer.name)](const harness::Case& which, const harness::TensorSet& inputs,
                                                harness::TensorSet& outputs, harness::CallStyle style) {
    const std::string parameters = described(parameters_of(which), style == harness::CallStyle::kInto);
    return harness::Invocation(
        harness::Python::instance().prepare(script(), name, inputs, outputs, parameters));
  };
  out.sources = {"suites/backprop/peers/linear_losses.py", "suites/backprop/impl_peers.cpp"};
  return out;
}

const bool kRegistered = [] {
  for (const Peer& peer : kPeers)
    const harness::RegisterImplementation add(challenge_name(peer.loss),
                                              [peer] { return implementation(peer); });
  return true;
}();

}  // namespace
}  // namespace assay::suites::backprop
