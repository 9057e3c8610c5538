// SPDX-License-Identifier: Apache-2.0
// What is done with a chunk of logits: the one point where the general path (autograd through the caller's
// function) and the fast paths (hand-written passes) differ. The loop around it is chunked_pass.hpp's.
#pragma once

#include <ATen/core/Tensor.h>

#include "kernels/backprop/autograd/memory_efficient_linear.hpp"

namespace assay::kernels::backprop {

/// Factor on f16 gradients of logits. They are about one a row (softmax minus one-hot), probabilities about
/// 1/V = 8e-6: times 256 they are normal numbers (6e-5 and up), and there is room for gradients of up to 127.
inline constexpr double kHalfScale = 256.0;

/// A chunk, with the rows that count where only the GPU knows them, and what its gradient is to be.
struct MaskedChunk : Chunk {
  at::Tensor mask = {};                       ///< bool [R], or undefined: all count
  at::ScalarType gradient_type = at::kFloat;  ///< the hidden states' type
  at::Tensor gradient_place = {};  ///< [R, V] of that type to leave the gradient in, or undefined: anywhere
};

/// Called under no_grad, with logits of which nobody else holds a reference: they may be overwritten.
class ChunkDerivative {
 public:
  struct Result {
    at::Tensor value;  ///< scalar f32 / f64
    at::Tensor
        gradient;  ///< [R, V] of chunk.gradient_type, 0 in rows that do not count; undefined: not asked for
  };

  virtual ~ChunkDerivative() = default;
  /// Σ of the values of rows that count, and the gradient of scale (f64 scalar) times it.
  virtual Result sum(MaskedChunk& chunk, const at::Tensor& scale, bool with_gradient) const = 0;
  /// Values of every row, [R] or [R, k], 0 for rows that do not count.
  virtual at::Tensor values(MaskedChunk& chunk) const = 0;
  /// Gradient of Σ upstream · values, as in Result; `known` are the values of the forward pass.
  virtual at::Tensor gradient(MaskedChunk& chunk, const at::Tensor& upstream,
                              const at::Tensor& known) const = 0;

  /// Bytes that exist at a time for each logit of the chunk, logits and their gradient included.
  virtual std::int64_t bytes_per_logit() const = 0;
  /// An automatic choice goes no further than so many rows; `sums_weight`: a weight's gradient is summed over
  /// chunks.
  virtual std::int64_t most_rows(bool sums_weight) const = 0;
  /// An automatic choice makes at least so many chunks, since one of everything would need the plain layer's
  /// memory.
  virtual std::int64_t least_chunks() const { return 4; }
  /// Where the choice is automatic, 16-bit gradients of up to so many chunks, together no more than a quarter
  /// of the rows, wait for the products with them where the weight is trained: that of dW reads and writes
  /// its f32 sum that much less often, that of dX has rows enough to fill a GPU.
  virtual std::int64_t chunks_a_product() const { return 1; }
  /// Whether logits may come rounded to the hidden states' 16 bits, as a plain layer rounds them.
  virtual bool takes_rounded_logits() const { return false; }
  /// Whether the hidden states' gradient may wait for backward in 16 bits. Exact wherever the upstream
  /// gradient is a power of two, one rounding more elsewhere; otherwise it waits in f32, twice the memory.
  virtual bool rounds_hidden_gradient() const { return false; }
};

}  // namespace assay::kernels::backprop
