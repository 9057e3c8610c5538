// SPDX-License-Identifier: Apache-2.0
// A user's score and mask, as text.
#pragma once

#include <string>

namespace assay::kernels::attention {

/// Each text holds one function (and what it needs beside it), in the language of device/mod_language.cuh:
///   template <class S> S score_mod(S score, int b, int h, int q, int k, const Buffers& buffers)
///   bool mask_mod(int b, int h, int q, int k, const Buffers& buffers)
///   float score_mod_derivative(float score, float modified, int b, int h, int q, int k, const Buffers&
///   buffers)
/// q and k count within the sequence. Empty texts: score as it is, everything visible, derivative by dual
/// numbers (S is float or a dual number). With score_mod_derivative, score_mod is only called with float.
/// Mods are asked about any pair inside the sequence, and their value is ignored where the mask hides it.
struct Mods {
  std::string score_mod = {};
  std::string mask_mod = {};
  std::string score_mod_derivative = {};
  int learnable = 0;  ///< slots 0 … learnable − 1 of the buffers are read with buffers.learnable<S>
  /// False spares work: one block mask for all heads, for all (dense) sequences.
  bool mask_by_head = true, mask_by_sequence = true;
};

}  // namespace assay::kernels::attention
