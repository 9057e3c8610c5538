// SPDX-License-Identifier: Apache-2.0
#include "reference/backprop/softmax.hpp"

#include <algorithm>
#include <cmath>

namespace assay::reference::backprop {

Softmax softmax_of(std::span<const double> x, const Transform& transform) {
  Softmax row;
  for (const double value : x) {
    const double t = transform.softcap > 0 ? std::tanh(value / transform.softcap) : 0.0;
    const double capped = transform.softcap > 0 ? transform.softcap * t : value;
    row.z.push_back(capped / transform.temperature);
    row.dz_dx.push_back((1.0 - t * t) / transform.temperature);
  }
  const double largest = *std::max_element(row.z.begin(), row.z.end());
  double sum = 0.0;
  for (const double z : row.z) sum += std::exp(z - largest);
  row.lse = largest + std::log(sum);
  for (const double z : row.z) {
    row.log_p.push_back(z - row.lse);
    row.p.push_back(std::exp(row.log_p.back()));
    row.entropy -= row.p.back() * row.log_p.back();
  }
  return row;
}

void through_transform(const Softmax& row, std::span<double> dz) {
  for (std::size_t v = 0; v < dz.size(); ++v) dz[v] *= row.dz_dx[v];
}

}  // namespace assay::reference::backprop
