// SPDX-License-Identifier: Apache-2.0
// Peers written in Python, run inside this process on the same tensors: torch.compile, Liger's Triton
// kernels.
#include <filesystem>
#include <optional>
#include <sstream>

#include "harness/core/registry.hpp"
#include "harness/python/python.hpp"
#include "suites/compile/pointwise/suite.hpp"

namespace assay::suites::compile {
namespace {

namespace fs = std::filesystem;
using harness::DeviceKind;

struct Peer {
  const char* name;
  const char* about;
};
constexpr Peer kPeers[] = {{"torch_compile", "The plain version under torch.compile"},
                           {"liger", "Liger's Triton kernels, with the copies that keep inputs whole"}};
constexpr double kPeerK = 4.0;  ///< of the plain version's error; its own is in the record

fs::path script() {
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error).parent_path();
  if (const fs::path beside = program / "peers" / "pointwise.py"; fs::is_regular_file(beside, error))
    return beside;
  return fs::path(ASSAY_PEERS) / "pointwise.py";
}

std::string described(const PointwiseCase& c, bool into) {
  const char* const piece = c.piece == Piece::kRmsNorm ? "rms_norm"
                            : c.piece == Piece::kRope  ? "rope"
                                                       : "swiglu";
  std::ostringstream out;
  out << std::boolalpha << "{\"piece\":\"" << piece << "\",\"backward\":" << c.backward
      << ",\"into\":" << into << ",\"eps\":" << kEps << ",\"heads\":" << c.heads
      << ",\"kv_heads\":" << c.kv_heads << ",\"head_dim\":" << c.head_dim << ",\"width\":" << c.width
      << ",\"halves\":" << c.halves << "}";
  return out.str();
}

harness::Implementation implementation(const Peer& peer) {
  harness::Implementation out;
  out.name = peer.name;
  out.role = harness::Role::kPeer;
  out.device = DeviceKind::kCuda;
  out.about = peer.about;
  out.deterministic = false;  // not ours to promise
  out.own_k = kPeerK;
  out.find_version = [name = std::string(peer.name)] {
    return harness::Python::instance().version(script(), name);
  };
  out.prepare = [name = std::string(peer.name)](const harness::Case& which, const harness::TensorSet& inputs,
                                                harness::TensorSet& outputs, harness::CallStyle style) {
    const std::string parameters = described(parameters_of(which), style == harness::CallStyle::kInto);
    return harness::Invocation(
        harness::Python::instance().prepare(script(), name, inputs, outputs, parameters));
  };
  out.sources = {"suites/compile/peers/pointwise.py", "suites/compile/pointwise/impl_peers.cpp"};
  return out;
}

const bool kRegistered = [] {
  for (const Piece piece : kPieces) {
    for (const Peer& peer : kPeers)
      const harness::RegisterImplementation add(challenge_name(piece),
                                                [peer] { return implementation(peer); });
  }
  return true;
}();

}  // namespace
}  // namespace assay::suites::compile
