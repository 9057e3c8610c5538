// SPDX-License-Identifier: Apache-2.0
// The fast paths: loss and gradient of a chunk in one hand-written pass over its logits
// (../softmax_pass.hpp).
#pragma once

#include "kernels/backprop/autograd/chunk_derivative.hpp"
#include "kernels/backprop/autograd/losses.hpp"

namespace assay::kernels::backprop {

/// What hand-written passes have in common: they work in place, on logits as the hidden states' type rounds
/// them.
class FusedDerivative : public ChunkDerivative {
 public:
  std::int64_t bytes_per_logit() const override;
  std::int64_t most_rows(bool sums_weight) const override;
  std::int64_t least_chunks() const override {
    return 2;
  }  // in place and 16 bits: half of them is a sixth of plain
  bool takes_rounded_logits() const override { return true; }
  bool rounds_hidden_gradient() const override { return true; }
};

/// Cross entropy; the chunk's first row argument holds the labels. Values: [R].
class FusedCrossEntropy : public FusedDerivative {
 public:
  explicit FusedCrossEntropy(CrossEntropyOptions options);

  Result sum(MaskedChunk& chunk, const at::Tensor& scale, bool with_gradient) const override;
  at::Tensor values(MaskedChunk& chunk) const override;
  at::Tensor gradient(MaskedChunk& chunk, const at::Tensor& upstream, const at::Tensor& known) const override;

 private:
  /// Overwrites the chunk's logits with the gradient where `scale` is given; returns the rows' losses.
  at::Tensor pass(MaskedChunk& chunk, const at::Tensor& scale) const;

  CrossEntropyOptions options_;
};

/// Log-probability of the row's token, entropy and lse; the first row argument holds the tokens. Values: [R,
/// 3].
class FusedTokenStatistics : public FusedDerivative {
 public:
  explicit FusedTokenStatistics(LogitTransform transform) : transform_(transform) {}

  Result sum(MaskedChunk& chunk, const at::Tensor& scale, bool with_gradient) const override;
  at::Tensor values(MaskedChunk& chunk) const override;
  at::Tensor gradient(MaskedChunk& chunk, const at::Tensor& upstream, const at::Tensor& known) const override;

 private:
  LogitTransform transform_;
};

}  // namespace assay::kernels::backprop
