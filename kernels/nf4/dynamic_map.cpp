// SPDX-License-Identifier: Apache-2.0
// The signed dynamic 8-bit code of nested absmax. Decade e of seven holds 2^e values of either sign, the
// middles of 2^e equal parts of [0.1, 1], times 10^(e - 6); 0 sits at 127 and 1 at 255, so every value has a
// place and nothing is sorted. Bits as torch 2.11 makes them in bitsandbytes' create_dynamic_map: f32
// throughout, multiply and add of linspace fused.
#include <cmath>

#include "kernels/nf4/quantize.hpp"

namespace assay::kernels::nf4 {

void dynamic_map(float* code256) {
  constexpr float kLow = 0.1f, kHigh = 1.0f;
  constexpr float kDecades[7] = {1e-6f, 1e-5f, 1e-4f, 1e-3f, 1e-2f, 1e-1f, 1.0f};
  float* const zero = code256 + 127;
  *zero = 0.0f;
  code256[255] = 1.0f;
  for (int decade = 0; decade < 7; ++decade) {
    const int parts = 1 << decade;
    const float width = (kHigh - kLow) / static_cast<float>(parts);
    const auto edge = [&](int i) {  // torch counts the upper half of the edges down from the end
      return i < (parts + 1) / 2 ? std::fma(width, static_cast<float>(i), kLow)
                                 : std::fma(-width, static_cast<float>(parts - i), kHigh);
    };
    for (int i = 0; i < parts; ++i) {
      const float middle = (edge(i) + edge(i + 1)) / 2.0f * kDecades[decade];
      zero[parts + i] = middle;
      zero[-(parts + i)] = -middle;
    }
  }
}

}  // namespace assay::kernels::nf4
