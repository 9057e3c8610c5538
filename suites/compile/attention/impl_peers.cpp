// SPDX-License-Identifier: Apache-2.0
// Peers written in Python: Triton's FlexAttention under torch.compile, and torch's scaled dot product
// attention by cuDNN and by FlashAttention-2. Their results come in memory of their own.
#include <sstream>

#include "harness/core/registry.hpp"
#include "suites/compile/attention/suite.hpp"
#include "suites/compile/common/peers.hpp"

namespace assay::suites::compile {
namespace {

constexpr double kPeerK = 4.0;

std::string described(const AttentionCase& c, bool into) {
  std::ostringstream out;
  out.precision(17);
  out << std::boolalpha << "{\"mod\":\"" << name_of(c.mod) << "\",\"backward\":" << c.backward
      << ",\"into\":" << into << ",\"packed\":" << c.packed << ",\"length\":" << c.length
      << ",\"head_dim\":" << c.head_dim << ",\"scale\":" << c.scale() << ",\"softcap\":" << c.softcap()
      << ",\"window\":" << c.window() << "}";
  return out.str();
}

harness::Implementation peer(const char* name, const char* about) {
  harness::Implementation out = python_peer({.name = name,
                                             .about = about,
                                             .script = "attention.py",
                                             .own_k = kPeerK,
                                             .describe = [](const harness::Case& which, bool into) {
                                               return described(attention_parameters_of(which), into);
                                             }});
  out.copies_results = true;
  out.sources.push_back("suites/compile/attention/impl_peers.cpp");
  return out;
}

std::optional<std::string> beyond_sdpa(const harness::Case& which, const harness::DeviceFacts&) {
  const AttentionCase& c = attention_parameters_of(which);
  if ((c.mod == Mod::kCausal || c.mod == Mod::kNone) && !c.packed)
    return std::nullopt;
  return "scaled_dot_product_attention has no mods and no packed sequences";
}

harness::Implementation sdpa(const char* name, const char* about) {
  harness::Implementation out = peer(name, about);
  out.unsupported = beyond_sdpa;
  return out;
}

const harness::RegisterImplementation kTriton(kAttentionChallenge, [] {
  return peer("triton_flex", "torch.nn.attention.flex_attention, compiled for each case's lengths");
});
const harness::RegisterImplementation kCudnn(kAttentionChallenge, [] {
  return sdpa("sdpa_cudnn", "torch's scaled_dot_product_attention by cuDNN");
});
const harness::RegisterImplementation kFlash(kAttentionChallenge, [] {
  return sdpa("sdpa_flash", "torch's scaled_dot_product_attention by FlashAttention-2");
});

}  // namespace
}  // namespace assay::suites::compile
