// SPDX-License-Identifier: Apache-2.0
// The mods of example_mods as classes: that text is for NVRTC. Like it, on device/mod_language.cuh.
#pragma once

#include "kernels/attention/device/mods.cuh"

namespace assay::kernels::attention {

using device::Buffers;

struct NoMods {};
struct Causal {
  bool mask_mod(int, int, int q, int k, const Buffers&) { return k <= q; }
};
struct Softcap : Causal {
  template <class S>
  S score_mod(S score, int, int, int, int, const Buffers& buffers) {
    const float cap = buffers.get<float>(0, 0);
    return cap * device::tanh(score * device::reciprocal(cap));
  }
};
struct Alibi : Causal {
  template <class S>
  S score_mod(S score, int, int h, int q, int k, const Buffers& buffers) {
    return score + buffers.get<float>(0, h) * float(k - q);
  }
};
struct Window {
  bool mask_mod(int, int, int q, int k, const Buffers& buffers) {
    return k <= q && q - k <= buffers.get<int>(0, 0);
  }
};
struct HeadWindows {
  bool mask_mod(int, int h, int q, int k, const Buffers& buffers) {
    return k <= q && q - k <= buffers.get<int>(0, h);
  }
};
struct Document {
  bool mask_mod(int b, int, int q, int k, const Buffers& buffers) {
    const long long first = static_cast<long long>(b) * buffers.q_length;
    return k <= q && buffers.get<int>(0, first + q) == buffers.get<int>(0, first + k);
  }
};
struct SoftcapWithDerivative : Softcap {
  float score_mod_derivative(float, float modified, int, int, int, int, const Buffers& buffers) {
    const float t = modified * device::reciprocal(buffers.get<float>(0, 0));
    return 1.0f - t * t;
  }
};
struct ApproximateSoftcap : Causal {
  template <class S>
  S score_mod(S score, int, int, int, int, const Buffers& buffers) {
    const float cap = buffers.get<float>(0, 0);
    return cap * device::tanh_approx(score * device::reciprocal(cap));
  }
};
struct PrefixLm {
  bool mask_mod(int b, int, int q, int k, const Buffers& buffers) {
    return k <= q || k < buffers.get<int>(0, b);
  }
};
struct FullBias {
  template <class S>
  S score_mod(S score, int, int h, int q, int k, const Buffers& buffers) {
    const long long row = static_cast<long long>(h) * buffers.q_length + q;
    return score + buffers.learnable<S>(0, row * buffers.k_length + k);
  }
};
struct LearnableAlibi : Causal {
  template <class S>
  S score_mod(S score, int, int h, int q, int k, const Buffers& buffers) {
    return score + buffers.learnable<S>(0, h) * float(k - q);
  }
};
struct RelativeBias : Causal {
  template <class S>
  S score_mod(S score, int, int h, int q, int k, const Buffers& buffers) {
    const int reach = buffers.integer(0);
    const int distance = device::min(device::max(q - k, 0), reach);
    return score + buffers.learnable<S>(0, static_cast<long long>(h) * (reach + 1) + distance);
  }
};

}  // namespace assay::kernels::attention
