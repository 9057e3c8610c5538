// SPDX-License-Identifier: Apache-2.0
// Raw logits x to z = softcap·tanh(x / softcap) / temperature (softcap 0: z = x / temperature), and the
// softmax of z.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace assay::reference::backprop {

struct Transform {
  double softcap = 0.0;
  double temperature = 1.0;
};

/// One row's statistics.
struct Softmax {
  std::vector<double> z, log_p, p;
  std::vector<double> dz_dx;
  double lse = 0.0;      ///< log Σ exp z
  double entropy = 0.0;  ///< −Σ p log p
};
Softmax softmax_of(std::span<const double> x, const Transform& transform);

/// ∂/∂x of a function whose derivative with respect to z is given: elementwise times dz/dx, in place.
void through_transform(const Softmax& row, std::span<double> dz);

}  // namespace assay::reference::backprop
