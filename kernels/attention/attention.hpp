// SPDX-License-Identifier: Apache-2.0
// Attention whose scores and mask the user writes in CUDA C++ (docs/flex_attention.md). Per sequence b, query
// head h and query i, with g = h / (q_heads / kv_heads):
//   x_j = scale · Σ_d q[i,h,d]·k[j,g,d],   s_j = score_mod(x_j, b, h, i, j) where mask_mod(b, h, i, j), else
//   −∞, lse = log Σ_j exp s_j,   o[i,h,:] = Σ_j exp(s_j − lse)·v[j,g,:].
// q, k, v, o are f16 or bf16, everything between them f32; probabilities and their gradients are rounded to
// 16 bits where they enter a product. A query that sees no key has o = 0, lse = −∞, and gets and gives no
// gradient.
//
// NVRTC makes a program once per (mods, head size, element type, architecture). Lengths, packing, buffers and
// scalars are arguments: changing them compiles nothing.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "kernels/attention/compiler.hpp"
#include "kernels/attention/config.hpp"
#include "kernels/attention/device/params.hpp"
#include "kernels/attention/mods.hpp"

namespace assay::kernels::attention {

/// What forward, backward and the block mask have in common. Dense: every sequence has q_length queries and
/// k_length keys. Packed: `q_starts` and `k_starts` (device memory, [sequences + 1], rising) say where each
/// sequence's rows begin; q_rows and k_rows are what the tensors hold, q_length and k_length the most a
/// sequence may have. Starts that break this stop the kernel with an error. Rows behind the last sequence are
/// neither read nor written.
struct Sequences {
  int sequences = 0, q_heads = 0, kv_heads = 0;
  int q_length = 0, k_length = 0;
  const int* q_starts = nullptr;
  const int* k_starts = nullptr;
  std::int64_t q_rows = 0, k_rows = 0;  ///< packed only
  float scale = 0.0f;                   ///< usually 1/√head_size
  BufferTable buffers = {};

  bool packed() const { return q_starts != nullptr; }
};

/// Blocks of 128 × 128 pairs, sorted into empty, partial and full, in the caller's device memory (aligned to
/// 256). Valid as long as lengths, and what mask_mod reads, stay as they were.
struct BlockMask {
  void* workspace = nullptr;
  std::size_t bytes = 0;
};

/// Strides in elements, multiples of 8; head_size contiguous; data aligned to 16 bytes. Dense:
/// sequence_stride counts; packed: it is 0. lse: [sequences, q_heads, q_length], packed [q_heads, q_rows],
/// natural logarithm.
struct ForwardArgs {
  Sequences sequences;
  BlockMask mask;
  View q, k, v, o;
  float* lse = nullptr;
};

/// Gradients of Σ o·d_o + Σ lse·d_lse. `learnable_gradients[slot]`: f32 [learnable_sizes[slot]], overwritten;
/// null: not wanted. Where gradients of learnable buffers are asked for, `deterministic` sums them in 64-bit
/// fixed point with `fixed_point_bits` behind the point: one thread's part past ±2^(62 − bits) makes the
/// element infinite, NaN stays NaN; sums past ±2^(63 − bits) wrap, so choose fewer bits for large gradients.
/// Everything else is deterministic anyway.
struct BackwardArgs {
  Sequences sequences;
  BlockMask mask;
  View q, k, v, o, d_o, d_q, d_k, d_v;
  const float* lse = nullptr;
  const float* d_lse = nullptr;  ///< null: 0
  float* learnable_gradients[kMaxLearnable] = {};
  std::int64_t learnable_sizes[kMaxLearnable] = {};
  bool deterministic = false;
  int fixed_point_bits = 40;
  void* workspace = nullptr;  ///< backward_workspace_bytes, aligned to 256
  std::size_t workspace_bytes = 0;
};

/// Depends on the capacities alone: the same for all lengths that fit.
std::size_t block_mask_bytes(const Mods& mods, const Sequences& sequences);
std::size_t backward_workspace_bytes(const BackwardArgs& args);

/// One attention layer's kind: mods, head size, element type. Cheap to copy; calls may come from several
/// threads. All calls enqueue on `stream` and return: no allocation, no synchronisation; capturable, the
/// first call included (it compiles or loads). Throw std::invalid_argument for arguments that break the
/// contract, CompileError for mods that do not compile, std::runtime_error when a launch fails or the GPU is
/// not supported (bf16 before sm_80).
class FlexAttention {
 public:
  /// `target`: where the code shall run; as a rule current_target().
  FlexAttention(std::shared_ptr<Compiler> compiler, Mods mods, HeadType head, Target target);

  void build_block_mask(const Sequences& sequences, const BlockMask& mask, cudaStream_t stream) const;
  void forward(const ForwardArgs& args, cudaStream_t stream) const;
  void backward(const BackwardArgs& args, cudaStream_t stream) const;

  /// Compiles or loads both programs now.
  void prepare() const;

  /// Other tilings than choose_tilings' own (benchmarks). Throws std::invalid_argument where they do not fit.
  FlexAttention with(const Tilings& tilings) const;
  const Tilings& tilings() const { return tilings_; }

 private:
  struct Programs;
  const LoadedProgram& forward_program() const;
  const LoadedProgram& backward_program() const;
  void launch_backward(const LoadedProgram& program, BackwardParams& params, const BackwardArgs& args,
                       cudaStream_t stream) const;

  std::shared_ptr<Compiler> compiler_;
  Mods mods_;
  HeadType head_;
  Target target_;
  Tilings tilings_;
  std::shared_ptr<Programs> programs_;  ///< found once: keys are hashes over all of the source
};

/// The current device's own code.
Target current_target();

}  // namespace assay::kernels::attention
