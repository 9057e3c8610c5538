// SPDX-License-Identifier: Apache-2.0
#include "suites/compile/attention/checks.hpp"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "harness/core/registry.hpp"
#include "harness/device/device.hpp"
#include "harness/verify/verify.hpp"
#include "suites/compile/attention/case_tensors.hpp"
#include "suites/compile/attention/kernel_adapter.hpp"

namespace assay::suites::compile {
namespace {

using harness::DeviceKind;
using harness::TensorSet;

constexpr std::int64_t kFewestMixes = 200, kMostPrograms = 30;
constexpr Mod kModsWithLengths[] = {Mod::kCausal, Mod::kSoftcap, Mod::kSlidingWindow};

TensorSet made_outputs(const harness::Case& which) {
  TensorSet outputs(DeviceKind::kCuda);
  for (const harness::TensorSpec& spec : attention_outputs_of(attention_parameters_of(which)))
    outputs.add(spec);
  outputs.fill(0xff);
  return outputs;
}

TensorSet result_of(const harness::Invocation& call, const TensorSet& outputs) {
  const harness::OwnedStream stream(DeviceKind::kCuda);
  call(stream);
  stream.synchronize();
  return outputs.copy_to(DeviceKind::kCpu);
}

/// One direction of one mix, as the challenge would judge it.
void judge(const flex::FlexAttention& attention, const AttentionCase& c) {
  harness::Case which;
  which.parameters = c;
  const TensorSet host = make_attention_inputs(which, 29), inputs = host.copy_to(DeviceKind::kCuda);
  const harness::Oracle oracle = attention_oracle_of(which, host);
  TensorSet plain = made_outputs(which), ours = made_outputs(which);
  const auto into = harness::CallStyle::kInto;
  const auto eager = prepare_tensor_call(
      inputs, plain, into, [&](const Tensors& in, const Tensors& out) { eager_attention_call(c, in, out); });
  const harness::BaselineErrors errors = harness::measure_errors(result_of(eager, plain), oracle);
  const auto call = prepare_flex(attention, c, inputs, ours, into, MaskMade::kOnce);
  const harness::Parity parity =
      harness::compare(result_of(call, ours), oracle,
                       harness::Registry::instance().challenge(kAttentionChallenge).parity, &errors);
  if (!harness::passes(parity))
    throw std::runtime_error("wrong at " + std::to_string(c.tokens) + " tokens in sequences of up to " +
                             std::to_string(c.length) + (c.packed ? ", packed" : "") +
                             (c.backward ? ", backward" : ", forward") + ": " + parity.first_bad_output +
                             " " + std::to_string(parity.first_bad_index));
}

std::string attention_lengths(const harness::DeviceFacts& facts) {
  if (facts.kind != DeviceKind::kCuda)
    throw harness::Skip("the kernels run on a GPU");
  const auto compiler = std::make_shared<flex::Compiler>();
  std::map<Mod, flex::FlexAttention> by_mod;
  for (const Mod mod : kModsWithLengths) {
    const AttentionCase c{.mod = mod, .head_dim = 64, .dtype = harness::Dtype::kFloat16};
    by_mod
        .emplace(mod, flex::FlexAttention(compiler, flex_mods_of(c), head_type_of(c), flex::current_target()))
        .first->second.prepare();
  }
  LengthsSeen seen;
  seen.programs = compiler->counters().compilations;
  std::set<std::int64_t> lengths;
  for (AttentionCase c : length_mixes()) {
    for (const bool backward : {false, true}) {
      c.backward = backward;
      judge(by_mod.at(c.mod), c);
    }
    ++seen.mixes, seen.packed += c.packed;
    for (const std::int64_t length : lengths_of(c)) lengths.insert(length);
  }
  seen.distinct_lengths = static_cast<std::int64_t>(lengths.size());
  seen.compiled_later = compiler->counters().compilations - seen.programs;
  return lengths_evidence(seen);
}

}  // namespace

std::vector<AttentionCase> length_mixes() {
  constexpr int kMixes = 210;
  std::vector<AttentionCase> mixes;
  for (int i = 0; i < kMixes; ++i) {
    AttentionCase c{.mod = kModsWithLengths[i % std::size(kModsWithLengths)],
                    .heads = 4,
                    .kv_heads = 2,
                    .head_dim = 64,
                    .dtype = harness::Dtype::kFloat16};
    c.length = 65 + i * 2;
    c.packed = i % 2 == 0;
    c.tokens = c.packed ? 2 * c.length + 1 + i % 7 : (1 + i % 3) * c.length;
    mixes.push_back(c);
  }
  return mixes;
}

std::string lengths_evidence(const LengthsSeen& seen) {
  const nlohmann::ordered_json evidence{
      {"length_mixes", seen.mixes},
      {"packed_mixes", seen.packed},
      {"distinct_lengths", seen.distinct_lengths},
      {"programs_compiled", seen.programs + seen.compiled_later},
      {"recompilations", seen.compiled_later},
      {"dynamic_lengths", seen.mixes >= kFewestMixes && seen.compiled_later == 0},
      {"at_most_30_programs", seen.programs + seen.compiled_later <= kMostPrograms}};
  if (seen.mixes < kFewestMixes || seen.programs < 1 || seen.compiled_later != 0 ||
      seen.programs + seen.compiled_later > kMostPrograms)
    throw std::runtime_error(
        "expected at least 200 mixes of lengths by at most 30 programs, none of them compiled after the "
        "first "
        "mix, found " +
        evidence.dump());
  return evidence.dump();
}

std::vector<harness::Challenge::SuiteCheck> attention_checks() {
  return {{.name = kLengthsCheck, .measures = false, .subject = "kernels", .run = attention_lengths}};
}

}  // namespace assay::suites::compile
