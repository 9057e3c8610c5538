// SPDX-License-Identifier: Apache-2.0
// Where sequences, rows and block lists lie.
#pragma once

#include "kernels/attention/device/machine.cuh"
#include "kernels/attention/device/params.hpp"

namespace assay::kernels::attention::device {

/// Rows of one side of a sequence.
struct Rows {
  int begin, count;
};

/// Stops the kernel where lengths in device memory break their promise: nothing is read out of bounds.
ASSAY_INLINE Rows rows_of(const int* starts, int sequence, int length, int rows) {
  if (starts == nullptr)
    return {0, length};
  const int begin = starts[sequence], count = starts[sequence + 1] - begin;
  if (begin < 0 || count < 0 || count > length || begin > rows - count)
    stop_with_error();
  return {begin, count};
}
ASSAY_INLINE Rows q_rows_of(const Problem& p, int sequence) {
  return rows_of(p.q_starts, sequence, p.q_length, p.q_rows);
}
ASSAY_INLINE Rows k_rows_of(const Problem& p, int sequence) {
  return rows_of(p.k_starts, sequence, p.k_length, p.k_rows);
}

ASSAY_INLINE int blocks_of(int rows) {
  return (rows + kBlock - 1) / kBlock;
}

/// The visible blocks beside one block, in rising order.
struct BlockList {
  const int* entries;
  int count;
};

ASSAY_INLINE BlockList k_blocks_of(const BlockTables& t, int place, int block, int head) {
  const long long list =
      static_cast<long long>(t.heads > 1 ? head : 0) * t.q_lists + (t.shared ? block : place);
  return {t.q_entries + list * t.most_k_blocks, t.q_counts[list]};
}
ASSAY_INLINE BlockList q_blocks_of(const BlockTables& t, int place, int block, int head) {
  const long long list =
      static_cast<long long>(t.heads > 1 ? head : 0) * t.k_lists + (t.shared ? block : place);
  return {t.k_entries + list * t.most_q_blocks, t.k_counts[list]};
}

/// Address of a row, and bytes from one row to the next.
struct RowPointer {
  char* data;
  long long stride;

  ASSAY_INLINE RowPointer advanced(int rows) const { return {data + rows * stride, stride}; }
};

ASSAY_INLINE RowPointer rows_at(const View& view, int sequence, int head, int row) {
  const long long element =
      sequence * view.sequence_stride + row * view.token_stride + head * view.head_stride;
  return {static_cast<char*>(view.data) + element * 2, view.token_stride * 2};
}
ASSAY_INLINE float* rows_at(const RowView& view, int sequence, int head, int row) {
  return view.data + sequence * view.sequence_stride + head * view.head_stride + row;
}

}  // namespace assay::kernels::attention::device
