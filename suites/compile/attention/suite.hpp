// SPDX-License-Identifier: Apache-2.0
// Challenge compile/flex_attention: what a case is, and how its tensors are named. N tokens in B sequences of
// S (packed: of different lengths up to S), h query and kv key heads of d elements; D is the case's dtype.
// Gradients are of Σ o · d_o. The scale is 1/√d.
//
//   fwd  q D [N, h·d], k, v D [N, kv·d]  → o D [N, h·d], lse f32 [B, h, S], packed [h, N]
//   bwd  the same, o, lse of a forward pass, d_o D [N, h·d]  → dq D [N, h·d], dk, dv D [N, kv·d]
// What the mods read, the same for every seed, so that a block mask made once holds (a training step makes it
// once for all its layers):
//   softcap f32 [1] · slopes f32 [h] · window i32 [1] · documents i32 [B, S] · prefixes i32 [B] ·
//   starts i32 [B + 1] of packed cases
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "harness/core/challenge.hpp"

namespace assay::suites::compile {

inline constexpr const char* kAttentionChallenge = "compile/flex_attention";

/// All but kNone and kPrefixLm are causal.
enum class Mod { kNone, kCausal, kSoftcap, kAlibi, kSlidingWindow, kDocument, kPrefixLm };
inline constexpr Mod kMods[] = {Mod::kNone,          Mod::kCausal,   Mod::kSoftcap, Mod::kAlibi,
                                Mod::kSlidingWindow, Mod::kDocument, Mod::kPrefixLm};
/// "none", "causal", "softcap", "alibi", "window", "document", "prefix".
std::string name_of(Mod mod);

struct AttentionCase {
  Mod mod = Mod::kCausal;
  std::int64_t tokens = 16384, length = 2048;  ///< N, S
  std::int64_t heads = 32, kv_heads = 8, head_dim = 128;
  harness::Dtype dtype = harness::Dtype::kBfloat16;
  bool backward = false;
  bool packed = false;  ///< of causal, softcap, alibi, window
  bool high = false;    ///< scores near kHighScore: 2^score is beyond f32

  double scale() const;
  double softcap() const { return length >= 1024 ? 30.0 : 2.0; }  ///< short cases have few scores that bend
  std::int64_t window() const { return length >= 2048 ? 1024 : length / 4; }
  std::int64_t prefix(std::int64_t sequence) const { return length / (3 + sequence % 2); }
  std::int64_t features() const { return heads * head_dim; }
  std::int64_t kv_features() const { return kv_heads * head_dim; }
};
inline constexpr double kHighScore = 96.0;

const AttentionCase& attention_parameters_of(const harness::Case& which);

/// Lengths of the case's sequences, one behind another; all S where it is not packed.
std::vector<std::int64_t> lengths_of(const AttentionCase& c);
/// Lengths of the documents that each sequence of a document case holds.
std::vector<std::int64_t> document_lengths_of(const AttentionCase& c);

/// The one table of cases that verification and timing both read.
std::vector<harness::Case> attention_cases();
std::vector<harness::TensorSpec> attention_inputs_of(const AttentionCase& c);
std::vector<harness::TensorSpec> attention_outputs_of(const AttentionCase& c);
harness::TensorSet make_attention_inputs(const harness::Case& which, std::uint64_t seed);

/// f64 truth, all of it at the first question: by reference/attention's loops where that is quick, by tensor
/// operations on the GPU where the case is large. `inputs` on the CPU, outliving it.
harness::Oracle attention_oracle_of(const harness::Case& which, const harness::TensorSet& inputs);

/// Pairs of query and key that the mask shows, over all sequences, of one head.
std::int64_t visible_pairs(const AttentionCase& c);
/// 4·d FLOP a pair and query head forward, 10·d backward, as FlashAttention's benchmark counts; every tensor
/// once.
harness::Work attention_work_of(const harness::Case& which);

}  // namespace assay::suites::compile
