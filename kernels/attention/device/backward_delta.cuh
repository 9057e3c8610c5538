// SPDX-License-Identifier: Apache-2.0
// delta = Σ_d o·d_o − d_lse of every query and head: a warp each.
#pragma once

#include "kernels/attention/device/sequence.cuh"

namespace assay::kernels::attention::device {

template <class Element>
ASSAY_INLINE float product_of_pairs(unsigned a, unsigned b) {
  return unpack<Element>(static_cast<unsigned short>(a)) * unpack<Element>(static_cast<unsigned short>(b)) +
         unpack<Element>(static_cast<unsigned short>(a >> 16)) *
             unpack<Element>(static_cast<unsigned short>(b >> 16));
}

template <class Setup>
ASSAY_INLINE void find_delta(const BackwardParams& p) {
  const Problem& problem = p.problem;
  const int lane = lane_index();
  const long long warp = static_cast<long long>(block_index()) * (block_threads() / 32) + thread_index() / 32;
  const int head = static_cast<int>(warp % problem.q_heads);
  const int row = static_cast<int>(warp / problem.q_heads % p.delta_rows);
  const int sequence = static_cast<int>(warp / problem.q_heads / p.delta_rows);
  if (sequence >= p.delta_sequences)
    return;
  if (problem.q_starts != nullptr && row >= problem.q_starts[problem.sequences])
    return;  // behind the last sequence
  const char* const o = rows_at(p.o, sequence, head, row).data;
  const char* const d_o = rows_at(p.d_o, sequence, head, row).data;
  float sum = 0.0f;
  for (int chunk = lane; chunk < Setup::kHeadSize / 8; chunk += 32) {
    const Vector a = reinterpret_cast<const Vector*>(o)[chunk],
                 b = reinterpret_cast<const Vector*>(d_o)[chunk];
    using Element = typename Setup::Element;
    sum += product_of_pairs<Element>(a.x, b.x) + product_of_pairs<Element>(a.y, b.y);
    sum += product_of_pairs<Element>(a.z, b.z) + product_of_pairs<Element>(a.w, b.w);
  }
  for (int distance = 16; distance > 0; distance /= 2) sum += shuffle_xor(sum, distance);
  if (lane == 0) {
    if (p.d_lse.data != nullptr)
      sum -= *rows_at(p.d_lse, sequence, head, row);
    *rows_at(p.delta, sequence, head, row) = sum;
  }
}

}  // namespace assay::kernels::attention::device
