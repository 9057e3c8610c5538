// SPDX-License-Identifier: Apache-2.0
// Peers written in Python, run inside this process on the same tensors: torch.compile, Liger's Triton
// kernels.
#include <sstream>

#include "harness/core/registry.hpp"
#include "suites/compile/common/peers.hpp"
#include "suites/compile/pointwise/suite.hpp"

namespace assay::suites::compile {
namespace {

constexpr double kPeerK = 4.0;

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

harness::Implementation implementation(const char* name, const char* about) {
  harness::Implementation out = python_peer({.name = name,
                                             .about = about,
                                             .script = "pointwise.py",
                                             .own_k = kPeerK,
                                             .describe = [](const harness::Case& which, bool into) {
                                               return described(parameters_of(which), into);
                                             }});
  out.sources.push_back("suites/compile/pointwise/impl_peers.cpp");
  return out;
}

const bool kRegistered = [] {
  for (const Piece piece : kPieces) {
    const std::string challenge = challenge_name(piece);
    const harness::RegisterImplementation compiled(
        challenge, [] { return implementation("torch_compile", "The plain version under torch.compile"); });
    const harness::RegisterImplementation liger(challenge, [] {
      return implementation("liger", "Liger's Triton kernels, with the copies that keep inputs whole");
    });
  }
  return true;
}();

}  // namespace
}  // namespace assay::suites::compile
