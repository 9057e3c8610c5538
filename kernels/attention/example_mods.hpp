// SPDX-License-Identifier: Apache-2.0
// Mods people use, as examples of the language. What may change between calls lies in device memory
// (data[slot]), so one compiled program and one captured graph serve all values.
#pragma once

#include <string>
#include <vector>

#include "kernels/attention/mods.hpp"

namespace assay::kernels::attention {

Mods no_mods();
Mods causal();
/// cap · tanh(x / cap), causal. data[0]: f32 cap. The hardware's tanh, whose 2^-11 is below what bf16 rounds.
Mods causal_softcap();
/// The same with tanh to f32's precision: for f16.
Mods causal_softcap_exact();
/// Causal; x + slope_h · (k − q). data[0]: f32 [q_heads] slopes.
Mods causal_alibi();
/// 0 ≤ q − k ≤ window. data[0]: i32 window.
Mods sliding_window();
/// The same with a window a head. data[0]: i32 [q_heads].
Mods head_windows();
/// Causal inside documents. data[0]: i32 [sequences, q_length] document of each token (dense, as many keys as
/// queries).
Mods document();
/// Keys before the prefix see no order, the others are causal. data[0]: i32 [sequences] prefix lengths.
Mods prefix_lm();
/// Causal; x + bias[h, clamp(q − k, 0, reach)]. data[0]: f32 [q_heads, reach + 1], learnable; integers[0]:
/// reach.
Mods relative_bias();
/// x + bias[h, q, k]. data[0]: f32 [q_heads, q_length, k_length], learnable.
Mods full_bias();
/// Causal ALiBi whose slopes learn. data[0]: f32 [q_heads], learnable.
Mods learnable_alibi();
/// Softcap whose derivative the user writes.
Mods softcap_with_derivative();

struct NamedMods {
  std::string name;
  Mods mods;
};
/// All of the above.
std::vector<NamedMods> example_mods();

}  // namespace assay::kernels::attention
