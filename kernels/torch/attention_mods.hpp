// SPDX-License-Identifier: Apache-2.0
// The masks and scores that torch.ops.assay.attention knows by name, as texts for kernels/attention. Pure
// functions.
#pragma once

#include "kernels/attention/device/params.hpp"
#include "kernels/attention/mods.hpp"

namespace assay::kernels::torch {

/// Query q sees key k where |q − k| < window (window 0: any) and, causal, k ≤ q. Scores become cap · tanh(x /
/// cap) (cap 0: stay).
struct PlainMods {
  bool causal = true;
  int window = 0;
  float softcap = 0.0f;
  bool exact_tanh =
      false;  ///< to f32's precision: for f16; bf16 rounds away what the hardware's tanh is off by
};

/// At most twelve different texts: window and cap are numbers beside them (plain_buffers), not in them.
attention::Mods plain_mods(const PlainMods& plain);
attention::BufferTable plain_buffers(const PlainMods& plain);

}  // namespace assay::kernels::torch
