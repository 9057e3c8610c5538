// SPDX-License-Identifier: Apache-2.0
#include "kernels/attention/block_mask.hpp"

#include <algorithm>
#include <limits>
#include <stdexcept>

namespace assay::kernels::attention {
namespace {

std::int64_t blocks_of(std::int64_t rows) {
  return (rows + kBlock - 1) / kBlock;
}

/// Blocks of all sequences. Packed: each sequence may end inside a block of its own.
int capacity(const Sequences& s, std::int64_t packed_rows, int length) {
  const std::int64_t blocks =
      s.packed() ? packed_rows / kBlock + s.sequences : std::int64_t{s.sequences} * blocks_of(length);
  if (blocks > std::numeric_limits<int>::max() / 2)
    throw std::invalid_argument("attention: expected fewer than 2^30 blocks of 128 rows, found " +
                                std::to_string(blocks));
  return static_cast<int>(blocks);
}

/// Hands out pieces of a workspace, each aligned to 256 bytes; counts alone where there is none.
class Pieces {
 public:
  explicit Pieces(void* workspace) : workspace_(static_cast<std::byte*>(workspace)) {}
  template <class T>
  void take(T*& pointer, std::int64_t count) {
    pointer = workspace_ == nullptr ? nullptr : reinterpret_cast<T*>(workspace_ + bytes_);
    bytes_ += (static_cast<std::size_t>(count) * sizeof(T) + 255) / 256 * 256;
  }
  std::size_t bytes() const { return bytes_; }

 private:
  std::byte* workspace_;
  std::size_t bytes_ = 0;
};

std::size_t lay_out(const Mods& mods, const Sequences& s, void* workspace, BlockTables& t) {
  t.most_q_blocks = static_cast<int>(blocks_of(s.q_length));
  t.most_k_blocks = static_cast<int>(blocks_of(s.k_length));
  t.q_capacity = capacity(s, s.q_rows, s.q_length);
  t.k_capacity = capacity(s, s.k_rows, s.k_length);
  t.heads = mods.mask_by_head && !mods.mask_mod.empty() ? s.q_heads : 1;
  t.shared = !s.packed() && (mods.mask_mod.empty() || !mods.mask_by_sequence) ? 1 : 0;
  t.q_lists = t.shared ? std::min(t.most_q_blocks, t.q_capacity) : t.q_capacity;  // no sequence, no list
  t.k_lists = t.shared ? std::min(t.most_k_blocks, t.k_capacity) : t.k_capacity;
  Pieces pieces(workspace);
  const std::int64_t q_lists = std::int64_t{t.heads} * t.q_lists, k_lists = std::int64_t{t.heads} * t.k_lists;
  pieces.take(t.q_places, t.q_capacity);
  pieces.take(t.k_places, t.k_capacity);
  pieces.take(t.states, q_lists * t.most_k_blocks);
  pieces.take(t.q_counts, q_lists);
  pieces.take(t.q_entries, q_lists * t.most_k_blocks);
  pieces.take(t.k_counts, k_lists);
  pieces.take(t.k_entries, k_lists * t.most_q_blocks);
  return pieces.bytes();
}

}  // namespace

BlockTables block_tables(const Mods& mods, const Sequences& sequences, void* workspace) {
  BlockTables tables;
  lay_out(mods, sequences, workspace, tables);
  return tables;
}

std::size_t block_mask_bytes(const Mods& mods, const Sequences& sequences) {
  BlockTables tables;
  return lay_out(mods, sequences, nullptr, tables);
}

}  // namespace assay::kernels::attention
