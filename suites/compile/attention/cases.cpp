// SPDX-License-Identifier: Apache-2.0
#include <sstream>

#include "suites/compile/attention/suite.hpp"

namespace assay::suites::compile {
namespace {

using harness::Case;
using harness::DeviceKind;
using harness::Dtype;

constexpr std::int64_t kTokens = 16384;

/// Mod, length, heads, dtype, direction, then what else is not the default.
std::string axes(const AttentionCase& c) {
  std::ostringstream name;
  name << name_of(c.mod) << "/s" << c.length << "/h" << c.heads << "kv" << c.kv_heads << 'd' << c.head_dim
       << '/' << harness::name_of(c.dtype) << (c.backward ? "/bwd" : "/fwd");
  if (c.tokens != kTokens)
    name << "/n" << c.tokens;
  if (c.packed)
    name << "/packed";
  if (c.high)
    name << "/high";
  return name.str();
}

Case named(const AttentionCase& c, std::uint64_t seed) {
  Case out;
  out.name = axes(c);
  out.parameters = c;
  out.seed = seed;
  return out;
}

/// Lengths that are no multiple of the kernels' blocks; longer than one block.
void add_quick(AttentionCase c, std::vector<Case>& cases) {
  for (const bool backward : {false, true}) {
    c.backward = backward;
    Case out = named(c, 11);
    out.quick = true;
    out.measured = false;
    cases.push_back(out);
  }
}

void add_quick_cases(std::vector<Case>& cases) {
  for (const Dtype dtype : {Dtype::kBfloat16, Dtype::kFloat16}) {
    const bool wide = dtype == Dtype::kFloat16;  // one head size a type and mod; causal has both
    for (const Mod mod : kMods)
      add_quick({.mod = mod,
                 .tokens = 300,
                 .length = 150,
                 .heads = 4,
                 .kv_heads = wide ? 1 : 2,
                 .head_dim = wide ? 128 : 64,
                 .dtype = dtype},
                cases);
    AttentionCase causal{
        .tokens = 141, .length = 141, .heads = 2, .kv_heads = 2, .head_dim = wide ? 64 : 128, .dtype = dtype};
    add_quick(causal, cases);
    causal.high = true;
    add_quick(causal, cases);
    for (const Mod mod : {Mod::kCausal, Mod::kAlibi, Mod::kSlidingWindow})
      add_quick({.mod = mod,
                 .tokens = 330,
                 .length = 140,
                 .heads = 4,
                 .kv_heads = 2,
                 .head_dim = wide ? 128 : 64,
                 .dtype = dtype,
                 .packed = true},
                cases);
  }
}

void add_measured(AttentionCase c, std::vector<Case>& cases) {
  for (const bool backward : {false, true}) {
    c.backward = backward;
    Case out = named(c, 3407);
    out.devices = {DeviceKind::kCuda};
    cases.push_back(out);
  }
}

/// Llama 3.1 8B's heads; Llama 3.2 1B's once.
void add_measured_cases(std::vector<Case>& cases) {
  for (const std::int64_t length : {2048, 4096, 8192})
    add_measured({.mod = Mod::kCausal, .length = length}, cases);
  for (const Mod mod : {Mod::kSoftcap, Mod::kAlibi, Mod::kSlidingWindow, Mod::kDocument, Mod::kPrefixLm})
    for (const std::int64_t length : {4096, 8192}) add_measured({.mod = mod, .length = length}, cases);
  add_measured({.mod = Mod::kNone, .length = 4096}, cases);
  add_measured({.mod = Mod::kCausal, .length = 4096, .packed = true}, cases);
  add_measured({.mod = Mod::kCausal, .length = 4096, .dtype = Dtype::kFloat16}, cases);
  add_measured({.mod = Mod::kSoftcap, .length = 4096, .dtype = Dtype::kFloat16}, cases);
  add_measured({.mod = Mod::kCausal, .length = 4096, .head_dim = 64}, cases);
}

}  // namespace

std::vector<Case> attention_cases() {
  std::vector<Case> cases;
  add_quick_cases(cases);
  add_measured_cases(cases);
  return cases;
}

}  // namespace assay::suites::compile
