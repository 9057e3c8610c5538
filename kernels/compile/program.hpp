// SPDX-License-Identifier: Apache-2.0
// A step as data: named buffers and a list of operations on them. Whoever runs it (eagerly on a CPU, captured
// on a GPU) walks the list once; nothing in it depends on values.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/compile/arena.hpp"

namespace assay::kernels::compile {

enum class Element : std::uint8_t {
  kCompute,  ///< the 16-bit (in tests f32) type that products read
  kFloat32,
  kInt32,
  kInt64,
  kPacked,  ///< NF4 with its statistics; rows × columns are those of the weight
};

enum class Role : std::uint8_t {
  kArena,     ///< made and used up within a step
  kFrozen,    ///< base weights
  kAdapter,   ///< f32, trained
  kCopy,      ///< of an adapter, in the compute type
  kGradient,  ///< f32, of an adapter
  kMoment,    ///< f32, AdamW's
  kInput,     ///< changes from step to step: tokens, labels, positions, sequence boundaries, learning rate
  kResult,    ///< f32 that the caller reads after the step
};

/// Row-major [rows, columns].
struct Buffer {
  std::string name;
  Role role = Role::kArena;
  Element element = Element::kCompute;
  std::int64_t rows = 0, columns = 0;
};

/// A buffer, or some of its columns.
struct Operand {
  int buffer = -1;
  std::int64_t column = 0, columns = 0;  ///< columns 0: all
};

/// settings: learning rate, number of the step from 1 on, weight decay, largest norm of all gradients
/// together (0: any). AdamW as torch has it (Loshchilov and Hutter 2019; β 0.9 and 0.999, ε 1e-8), gradients
/// first scaled as clip_grad_norm_ does;
/// with clipping, a square sum that is not finite moves nothing.
///
/// in → out. T tokens, H hidden, V vocabulary, D head size. Arithmetic inside is f32; each result is rounded
/// once to its buffer's type.
enum class OpKind : std::uint8_t {
  kEmbed,       ///< tokens [T], embedding [V, H] → x
  kRmsNorm,     ///< x, weight → y, 1/rms [T] f32
  kAddRmsNorm,  ///< x, t, weight → x + t, its norm y, 1/rms
  kDecode,      ///< packed weight → weight
  kMatmul,      ///< a, b → alpha · op(a)·op(b) + beta · out
  kRope,  ///< x [T, heads · D], positions [T], frequencies [D / 2] → x in place; `reversed` turns back
  kAttention,          ///< q, k, v, boundaries → o, log-sum-exp [T, heads] f32; causal within a sequence
  kSwiglu,             ///< gate, up → silu(gate) · up
  kHeadLoss,           ///< h, head [V, H], labels [T] → mean cross entropy [1], its gradient of h
  kRmsNormBackward,    ///< dy, x, 1/rms, weight, and perhaps a gradient to add → dx
  kSwigluBackward,     ///< gate, up, upstream → dgate, dup
  kAttentionBackward,  ///< q, k, v, o, log-sum-exp, do, boundaries → dq, dk, dv
  kSquareSum,          ///< gradient → sum += Σ gradient²; `beta` 0 begins the sum
  kAdamW,              ///< gradient, square sum, settings [4] → adapter, first moment, second moment, copy
};

struct Op {
  OpKind kind{};
  std::vector<Operand> in, out;
  bool transpose_a = false, transpose_b = false, reversed = false;
  float alpha = 1.0f, beta = 0.0f;
};

struct Program {
  std::vector<Buffer> buffers;
  std::vector<Op> ops;
  double norm_epsilon = 1e-5;
  int find(const std::string& name) const;  ///< throws std::out_of_range that names it
};

/// Lifetimes of the arena's buffers, in their order among themselves, and which buffers they are. Throws
/// std::logic_error for a buffer that is read before it is written or never written.
struct ArenaLives {
  std::vector<int> buffers;
  std::vector<BufferLife> lives;
};
ArenaLives arena_lives(const Program& program, std::size_t compute_bytes);

}  // namespace assay::kernels::compile
