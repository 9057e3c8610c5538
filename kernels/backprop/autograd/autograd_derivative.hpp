// SPDX-License-Identifier: Apache-2.0
// The general path: the caller's function, differentiated by torch's autograd. Nothing here knows a
// derivative.
#pragma once

#include "kernels/backprop/autograd/chunk_derivative.hpp"

namespace assay::kernels::backprop {

class AutogradDerivative : public ChunkDerivative {
 public:
  /// `rows_asked`: values of rows are wanted, so a scalar is refused.
  AutogradDerivative(RowFunction function, bool rows_asked, std::int64_t teachers);

  Result sum(MaskedChunk& chunk, const at::Tensor& scale, bool with_gradient) const override;
  at::Tensor values(MaskedChunk& chunk) const override;
  at::Tensor gradient(MaskedChunk& chunk, const at::Tensor& upstream, const at::Tensor& known) const override;
  std::int64_t bytes_per_logit() const override;
  std::int64_t most_rows(bool sums_weight) const override;
  std::int64_t chunks_a_product() const override;

 private:
  at::Tensor value_of(const MaskedChunk& chunk) const;

  RowFunction function_;
  bool rows_asked_;
  std::int64_t teachers_;
};

}  // namespace assay::kernels::backprop
