// SPDX-License-Identifier: Apache-2.0
#include "kernels/torch/attention_mods.hpp"

#include <string>

namespace assay::kernels::torch {
namespace {

constexpr const char* kMaskHead = "bool mask_mod(int b, int h, int q, int k, const Buffers& buffers) {\n";
constexpr const char* kScoreHead =
    "template <class S> S score_mod(S score, int b, int h, int q, int k, const Buffers& buffers) {\n"
    "  const float cap = buffers.scalar(0);\n";

std::string mask_text(const PlainMods& plain) {
  if (plain.window == 0)
    return plain.causal ? std::string(kMaskHead) + "  return k <= q;\n}\n" : "";
  return std::string(kMaskHead) + (plain.causal ? "  return k <= q && q - k < buffers.integer(0);\n}\n"
                                                : "  return abs(q - k) < buffers.integer(0);\n}\n");
}

std::string score_text(const PlainMods& plain) {
  if (plain.softcap == 0.0f)
    return "";
  return std::string(kScoreHead) + "  return cap * " + (plain.exact_tanh ? "tanh" : "tanh_approx") +
         "(score * reciprocal(cap));\n}\n";
}

}  // namespace

attention::Mods plain_mods(const PlainMods& plain) {
  return {.score_mod = score_text(plain),
          .mask_mod = mask_text(plain),
          .mask_by_head = false,
          .mask_by_sequence = false};
}

attention::BufferTable plain_buffers(const PlainMods& plain) {
  attention::BufferTable table;
  table.integers[0] = plain.window;
  table.scalars[0] = plain.softcap;
  return table;
}

}  // namespace assay::kernels::torch
