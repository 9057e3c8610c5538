// SPDX-License-Identifier: Apache-2.0
// The dynamic map as bitsandbytes' functional.py 0.50 builds it. For e = 0 … 6: cut [0.1, 1] into 2^e equal
// parts, take the middle of each, scale by 10^(e - 6), with both signs; add 0 and 1; sort. All in f32, where
// the cuts are torch's linspace: from the start for the first half, from the end for the second, multiply and
// add fused.
#include "reference/nf4/dynamic_map.hpp"

#include <algorithm>
#include <cmath>

namespace assay::reference::nf4 {
namespace {

float linspace(int i, int points) {
  const float step = (1.0f - 0.1f) / static_cast<float>(points - 1);
  if (i < points / 2)
    return std::fma(step, static_cast<float>(i), 0.1f);
  return std::fma(-step, static_cast<float>(points - 1 - i), 1.0f);
}

}  // namespace

void dynamic_map(float* code256) {
  constexpr float kPowersOfTen[7] = {1e-6f, 1e-5f, 1e-4f, 1e-3f, 1e-2f, 1e-1f, 1.0f};
  int n = 0;
  for (int e = 0; e < 7; ++e) {
    const int parts = 1 << e;
    for (int i = 0; i < parts; ++i) {
      const float middle = (linspace(i, parts + 1) + linspace(i + 1, parts + 1)) / 2.0f;
      code256[n++] = kPowersOfTen[e] * middle;
      code256[n++] = -kPowersOfTen[e] * middle;
    }
  }
  code256[n++] = 0.0f;
  code256[n++] = 1.0f;
  std::sort(code256, code256 + 256);
}

}  // namespace assay::reference::nf4
