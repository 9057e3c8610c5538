// SPDX-License-Identifier: Apache-2.0
// Every plain kind of attention compiles, forward and backward, without a GPU; numbers make no new text.
#include "kernels/torch/attention_mods.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <set>

#include "kernels/attention/attention.hpp"

namespace assay::kernels::torch {
namespace {

std::vector<PlainMods> kinds() {
  std::vector<PlainMods> out;
  for (const bool causal : {false, true})
    for (const int window : {0, 40})
      for (const float softcap : {0.0f, 30.0f})
        for (const bool exact : {false, true})
          if (softcap > 0.0f || !exact)
            out.push_back({.causal = causal, .window = window, .softcap = softcap, .exact_tanh = exact});
  return out;
}

TEST(AttentionMods, every_kind_compiles_for_ampere_and_hopper) {
  const auto compiler = std::make_shared<attention::Compiler>();
  int sm = 80;
  for (const PlainMods& kind : kinds()) {
    const auto type = kind.exact_tanh ? attention::ElementType::kFloat16 : attention::ElementType::kBfloat16;
    const attention::FlexAttention layer(compiler, plain_mods(kind), {sm == 80 ? 64 : 128, type},
                                         {sm, false});
    EXPECT_NO_THROW(layer.prepare()) << plain_mods(kind).mask_mod << plain_mods(kind).score_mod;
    sm = sm == 80 ? 90 : 80;
  }
  EXPECT_EQ(compiler->counters().compilations, 2 * static_cast<int>(kinds().size()));
}

TEST(AttentionMods, twelve_texts_and_the_numbers_beside_them) {
  std::set<std::pair<std::string, std::string>> texts;
  for (const PlainMods& kind : kinds()) {
    PlainMods other = kind;
    other.window *= 3, other.softcap *= 0.5f;
    const attention::Mods mods = plain_mods(kind), same = plain_mods(other);
    EXPECT_EQ(mods.mask_mod, same.mask_mod);
    EXPECT_EQ(mods.score_mod, same.score_mod);
    EXPECT_EQ(plain_buffers(other).integers[0], other.window);
    EXPECT_EQ(plain_buffers(other).scalars[0], other.softcap);
    texts.insert({mods.mask_mod, mods.score_mod});
  }
  EXPECT_EQ(texts.size(), 12u);
}

}  // namespace
}  // namespace assay::kernels::torch
