// SPDX-License-Identifier: Apache-2.0
// One allocation for everything a fixed list of operations needs: buffers that are never alive at once share
// bytes. A pure function of sizes and lifetimes, so the memory of a step is known, and testable, before there
// is a device.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace assay::kernels::compile {

/// A buffer is written first by operation `first` and read last by operation `last` (positions in the list,
/// both included): two buffers of which one ends where the other begins do not share bytes, since an
/// operation reads while it writes.
struct BufferLife {
  std::size_t bytes = 0;
  int first = 0, last = 0;
};

struct ArenaPlan {
  std::vector<std::size_t> offsets;  ///< of each buffer, multiples of the alignment; 0 for buffers of 0 bytes
  std::size_t bytes = 0;             ///< of the arena
  std::size_t most_alive = 0;        ///< the largest sum of sizes alive at one operation: no plan is smaller
};

/// Largest buffers first, each into the lowest gap that fits between buffers alive at the same time ("greedy
/// by size for offset calculation", Pisarchyk and Lee, arXiv 2001.03288). The same input gives the same plan.
/// Throws std::invalid_argument for a lifetime that ends before it begins or an alignment that is no power of
/// two.
ArenaPlan plan_arena(std::span<const BufferLife> buffers, std::size_t alignment = 256);

}  // namespace assay::kernels::compile
