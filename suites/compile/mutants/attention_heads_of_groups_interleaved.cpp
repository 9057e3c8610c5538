// SPDX-License-Identifier: Apache-2.0
// Caught by `parity`: "Query head h goes with key head h modulo their number."
#include "suites/compile/mutants/mutant.hpp"

namespace assay::suites::compile::mutants {
namespace {

using at::Tensor;

/// [g · r] heads as if the groups were dealt out: head i on key head i % g.
Tensor dealt(const Tensor& heads, const Tensor& keys) {
  return heads.unflatten(0, {-1, keys.size(0)}).transpose(0, 1).flatten(0, 1);
}

eager_attention::Output forward(const Tensor& q, const Tensor& k, const Tensor& v,
                                const eager_attention::Scores& scores) {
  const eager_attention::Output out = eager_attention::forward(dealt(q, k), k, v, scores);
  const auto back = [&](const Tensor& x) {
    return x.unflatten(0, {k.size(0), -1}).transpose(0, 1).flatten(0, 1);
  };
  return {back(out.o), back(out.lse)};
}

const bool kThis = register_mutant(AttentionMutant{.name = "attention_heads_of_groups_interleaved",
                                                   .about = "pairs query heads with the wrong key heads",
                                                   .math = {.forward = forward},
                                                   .shows_in = [](const AttentionCase& c) {
                                                     return c.mod == Mod::kCausal && !c.backward &&
                                                            c.kv_heads > 1 && c.heads > c.kv_heads;
                                                   }});

}  // namespace
}  // namespace assay::suites::compile::mutants
