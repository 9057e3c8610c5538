// SPDX-License-Identifier: Apache-2.0
// The last linear layer and any loss behind it, without the [rows, vocab] logits ever existing as a whole:
// rows are cut into chunks; each chunk's logits are made, upcast to f32, handed to the caller's function,
// differentiated by autograd and thrown away.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <vector>

#include "kernels/backprop/autograd/linear_head.hpp"
#include "kernels/backprop/chunk_plan.hpp"

namespace assay::kernels::backprop {

/// What the caller's function sees of one chunk of R rows.
struct Chunk {
  at::Tensor logits;             ///< [R, V] f32 (f64 where hidden states are f64); differentiate through it
  std::vector<at::Tensor> rows;  ///< the chunk's slice of each row argument, [R, …]
  std::vector<at::Tensor> teachers;  ///< [R, V] f32 logits of each teacher; no gradient
};

/// Per-row values [R] (or [R, k] for Reduction::kRows), or a scalar: the chunk's sum. May be called again for
/// the same chunk, so it must not keep state; random numbers (dropout) would differ between calls. Tensors
/// that it captures get no gradient.
using RowFunction = std::function<at::Tensor(const Chunk& chunk)>;

/// Logits that the function compares with: distillation's teacher, a reference policy. Streamed along, never
/// kept.
struct Teacher {
  at::Tensor hidden;  ///< [N, H'], rows as those of the student
  LinearHead head;    ///< same vocabulary; no gradient flows into it
};

enum class Reduction {
  kSum,  ///< Σ over rows, f32 scalar; gradients are made in the forward pass, one product each
  /// kSum / number of rows that count, over all chunks, so unequal chunks weigh right. No row counts: loss
  /// and gradients are 0 (torch's cross entropy gives NaN).
  kMean,
  kRows,  ///< the values of every row, [N] or [N, k]; backward makes the logits again (one product more)
};

struct MemoryEfficientOptions {
  Reduction reduction = Reduction::kMean;
  ChunkChoice chunks = {};
  /// bool [N]: rows that count; undefined: all. On the CPU, rows that do not count are dropped before the
  /// product. On the GPU their number is unknown to the host, so they are computed and masked, unless
  /// `wait_for_count` allows one synchronisation to drop them (not in a captured graph).
  at::Tensor counts = {};
  bool wait_for_count = false;
  /// Divisor of kMean instead of the count of rows (gradient accumulation's global count): scalar tensor, any
  /// device.
  at::Tensor divisor = {};
  /// Factor on the gradient of the logits while it is held in the hidden states' type, undone in f32: keeps
  /// f16 from underflow. 0 chooses: 1 for bf16, f32, f64; 256 for f16, fit for kSum and kMean functions whose
  /// row values are of order one (kRows finds its own). Too large a factor overflows f16 and shows as
  /// infinite gradients.
  double gradient_scale = 0.0;
};

/// Returns a scalar f32 (kSum, kMean), or f32 [N] / [N, k] (kRows; rows that do not count are 0),
/// differentiable in `hidden` and the tensors of `head` that require a gradient, once (a second derivative
/// throws). The upstream gradient is respected. Products run in the type of `hidden` with f32 accumulation;
/// logits are f32; dW, db and the adapters' gradients accumulate over chunks in f32 (f64 for f64) and are
/// rounded once.
///
/// hidden: [..., H] f16, bf16, f32 or f64, rows flattened. row_arguments: each [..., …] with the same leading
/// rows; they get no gradient and are refused when they require one. Runs on the current stream, synchronises
/// nothing except as said at `counts`, and may be captured in a CUDA graph. One more exception: the first
/// call with large products of new sizes, unless it is captured, times cuBLASLt's proposals for them
/// (products.hpp); call once before capturing to have the fastest in the graph. Throws c10::Error saying what
/// was expected and found.
at::Tensor memory_efficient_linear(const at::Tensor& hidden, const LinearHead& head,
                                   const RowFunction& function,
                                   const std::vector<at::Tensor>& row_arguments = {},
                                   const std::vector<Teacher>& teachers = {},
                                   const MemoryEfficientOptions& options = {});

}  // namespace assay::kernels::backprop
