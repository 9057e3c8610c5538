// SPDX-License-Identifier: Apache-2.0
// What crosses from the launcher to the kernels. Read by the host's compiler and by NVRTC, which has no
// standard library: built-in types only.
#pragma once

namespace assay::kernels::attention {

inline constexpr int kBlock = 128;       ///< queries and keys along the sides of a block of the mask
inline constexpr int kHalfBlock = 64;    ///< rows that a warpgroup multiplies
inline constexpr int kMaxBuffers = 8;    ///< of each kind in a BufferTable
inline constexpr int kMaxLearnable = 2;  ///< buffers whose gradient can be asked for

/// What mods read beside their indices. Changing any of it needs no compilation; what a captured graph shall
/// see change belongs in device memory, behind `data`.
struct BufferTable {
  const void* data[kMaxBuffers] = {};
  float scalars[kMaxBuffers] = {};
  int integers[kMaxBuffers] = {};
};

/// [sequence][token][head][head_size] with strides in elements; packed: sequence stride 0, tokens of all
/// sequences one behind another.
struct View {
  void* data = nullptr;
  long long sequence_stride = 0, token_stride = 0, head_stride = 0;
};

/// One f32 a query and head: lse, delta. Packed: sequence stride 0.
struct RowView {
  float* data = nullptr;
  long long sequence_stride = 0, head_stride = 0;
};

/// Block `block` of sequence `sequence` (−1: this place of the table is not used). The blocks of the other
/// side that the sequence has: places [other_first, other_first + other_count) of the other table.
struct BlockPlace {
  int sequence, block, other_first, other_count;
};

/// The block mask in device memory. Lists: entries in rising order, entry = block · 2 + (1: every pair is
/// visible).
struct BlockTables {
  BlockPlace* q_places = nullptr;      ///< [q_capacity]
  BlockPlace* k_places = nullptr;      ///< [k_capacity]
  unsigned char* states = nullptr;     ///< [heads][q_lists][most_k_blocks]: 0 empty, 1 partial, 2 full
  int* q_counts = nullptr;             ///< [heads][q_lists]
  int* q_entries = nullptr;            ///< [heads][q_lists][most_k_blocks]
  int* k_counts = nullptr;             ///< [heads][k_lists]
  int* k_entries = nullptr;            ///< [heads][k_lists][most_q_blocks]
  int q_capacity = 0, k_capacity = 0;  ///< places: all blocks of all sequences
  int q_lists = 0, k_lists = 0;        ///< q_capacity, or one sequence's blocks where all share their lists
  int most_q_blocks = 0, most_k_blocks = 0;
  int heads = 1;   ///< 1, or q_heads where the mask depends on the head
  int shared = 0;  ///< 1: the mask does not depend on the sequence, list = block
};

struct Problem {
  int sequences = 0, q_heads = 0, kv_heads = 0;
  int q_length = 0, k_length = 0;  ///< of every sequence; packed: the most any may have
  const int* q_starts = nullptr;   ///< packed: [sequences + 1], else null
  const int* k_starts = nullptr;
  int q_rows = 0, k_rows = 0;  ///< packed: what the tensors hold
  float scale = 0.0f;
  BufferTable buffers;
  BlockTables tables;
};

struct ForwardParams {
  Problem problem;
  View q, k, v, o;
  RowView lse;
};

/// What the copy engine must know of a tensor (CUtensorMap). Dimensions: element of a head, head, token,
/// sequence.
struct alignas(64) TensorMap {
  unsigned long long words[16];
};

/// Boxes of kBlock rows.
struct ForwardHopperParams {
  ForwardParams base;
  TensorMap q, k, v;
};

/// Sums of the gradient of one learnable buffer: f32, or 64-bit fixed point (integer sums know no order);
/// `sum` then takes what does not fit: infinities and NaN.
struct LearnableGradient {
  float* sum = nullptr;
  unsigned long long* fixed = nullptr;
};

struct BackwardParams {
  Problem problem;
  View q, k, v, o, d_o, d_q, d_k, d_v;
  RowView lse, d_lse, delta;  ///< d_lse.data may be null
  LearnableGradient learnable[kMaxLearnable];
  float fixed_one = 0.0f;  ///< what 1.0 is in fixed point, a power of two
  int delta_sequences = 0, delta_rows = 0;
};

/// Boxes of kHalfBlock rows.
struct BackwardHopperParams {
  BackwardParams base;
  TensorMap q, d_o, k, v;
};

}  // namespace assay::kernels::attention
