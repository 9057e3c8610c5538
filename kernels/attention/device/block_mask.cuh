// SPDX-License-Identifier: Apache-2.0
// The block mask, made on the device: places of all sequences' blocks, the state of each block by asking
// mask_mod about every pair, then the ordered lists of visible blocks by rows and by columns.
#pragma once

#include "kernels/attention/device/mods.cuh"
#include "kernels/attention/device/sequence.cuh"

namespace assay::kernels::attention::device {

/// Which sequence the `index`-th block of one side belongs to. A walk over the lengths: they are few and in
/// cache.
ASSAY_INLINE BlockPlace place_of(const Problem& p, bool of_queries, int index) {
  int first = 0, other_first = 0;
  for (int s = 0; s < p.sequences; ++s) {
    const int q_blocks = blocks_of(q_rows_of(p, s).count), k_blocks = blocks_of(k_rows_of(p, s).count);
    const int blocks = of_queries ? q_blocks : k_blocks, other_blocks = of_queries ? k_blocks : q_blocks;
    if (index < first + blocks)
      return {s, index - first, other_first, other_blocks};
    first += blocks, other_first += other_blocks;
  }
  return {-1, 0, 0, 0};
}

/// One thread a place of either table.
ASSAY_INLINE void find_places(const Problem& p) {
  const BlockTables& t = p.tables;
  const int i = block_index() * block_threads() + thread_index();
  if (i < t.q_capacity)
    t.q_places[i] = place_of(p, true, i);
  else if (i < t.q_capacity + t.k_capacity)
    t.k_places[i - t.q_capacity] = place_of(p, false, i - t.q_capacity);
}

/// One block of kBlock threads a block of the mask; a thread asks about one query and all keys of the block.
template <class Setup>
ASSAY_INLINE void find_state(const Problem& p) {
  const BlockTables& t = p.tables;
  const int k_block = block_index() % t.most_k_blocks, list = block_index() / t.most_k_blocks % t.q_lists;
  const int head = block_index() / t.most_k_blocks / t.q_lists;
  const BlockPlace place = t.q_places[list];
  if (place.sequence < 0 || k_block >= place.other_count)
    return;
  const Rows q_rows = q_rows_of(p, place.sequence);
  const Rows k_rows = k_rows_of(p, place.sequence);
  const Buffers buffers(p.buffers, q_rows.count, k_rows.count);
  const int q = place.block * kBlock + thread_index(), k0 = k_block * kBlock;
  const int keys = k_rows.count - k0 < kBlock ? k_rows.count - k0 : kBlock;
  bool any = false, all = q < q_rows.count && keys == kBlock;
  if (q < q_rows.count) {
    for (int k = 0; k < keys; ++k) {
      const bool seen = visible<Setup>({place.sequence, head, q, k0 + k}, buffers);
      any |= seen, all &= seen;
    }
  }
  const int block_any = wait_for_block_any(any), block_missing = wait_for_block_any(!all);
  if (thread_index() == 0)
    t.states[(static_cast<long long>(head) * t.q_lists + list) * t.most_k_blocks + k_block] =
        static_cast<unsigned char>(block_any == 0 ? 0 : (block_missing != 0 ? 1 : 2));
}

/// One warp a list: rows first, then columns.
ASSAY_INLINE void make_list(const Problem& p) {
  const BlockTables& t = p.tables;
  const int warp = (block_index() * block_threads() + thread_index()) / 32, lane = lane_index();
  const int rows = t.heads * t.q_lists;
  if (warp >= rows + t.heads * t.k_lists)
    return;
  const bool by_row = warp < rows;
  const int list = by_row ? warp : warp - rows, lists = by_row ? t.q_lists : t.k_lists;
  const int head = list / lists, most = by_row ? t.most_k_blocks : t.most_q_blocks;
  const BlockPlace place = (by_row ? t.q_places : t.k_places)[list % lists];
  int* const entries = (by_row ? t.q_entries : t.k_entries) + static_cast<long long>(list) * most;
  const int candidates = place.sequence < 0 ? 0 : place.other_count;
  const unsigned char* const states =
      t.states + static_cast<long long>(head) * t.q_lists * t.most_k_blocks +
      (by_row ? static_cast<long long>(list % lists) * t.most_k_blocks
              : static_cast<long long>(place.other_first) * t.most_k_blocks + place.block);
  const int step = by_row ? 1 : t.most_k_blocks;
  int count = 0;
  for (int first = 0; first < candidates; first += 32) {
    const int block = first + lane;
    const int state = block < candidates ? states[static_cast<long long>(block) * step] : 0;
    const unsigned seen = ballot(state != 0);
    if (state != 0)
      entries[count + count_bits(seen & ((1u << lane) - 1u))] = block * 2 + (state == 2 ? 1 : 0);
    count += count_bits(seen);
  }
  if (lane == 0)
    (by_row ? t.q_counts : t.k_counts)[list] = count;
}

}  // namespace assay::kernels::attention::device
