// SPDX-License-Identifier: Apache-2.0
#include "kernels/backprop/autograd/rounded_gradient.hpp"

#include <ATen/ops/empty.h>
#include <c10/cuda/CUDAStream.h>

#include "kernels/backprop/round_rows.hpp"

namespace assay::kernels::backprop {
namespace {

using at::Tensor;

bool one_kernel_does(const Tensor& gradient, const Tensor& mask, at::ScalarType type) {
  return gradient.is_cuda() && gradient.scalar_type() == at::kFloat &&
         (type == at::kHalf || type == at::kBFloat16) && gradient.stride(1) == 1 &&
         gradient.stride(0) >= gradient.size(1) && (!mask.defined() || mask.is_contiguous());
}

void round_on_gpu(const Tensor& gradient, const Tensor& mask, const Tensor& to) {
  RoundRows args;
  args.from = gradient.const_data_ptr<float>();
  args.to = to.mutable_data_ptr();
  args.type = to.scalar_type() == at::kHalf ? LogitType::kFloat16 : LogitType::kBfloat16;
  args.rows = gradient.size(0), args.columns = gradient.size(1);
  args.from_stride = gradient.stride(0), args.to_stride = to.stride(0);
  if (mask.defined())
    args.counts = mask.const_data_ptr<bool>();
  round_rows(args, c10::cuda::getCurrentCUDAStream(gradient.device().index()));
}

}  // namespace

Tensor rounded_gradient(const Tensor& gradient, const MaskedChunk& chunk) {
  if (one_kernel_does(gradient, chunk.mask, chunk.gradient_type)) {
    const Tensor to = chunk.gradient_place.defined()
                          ? chunk.gradient_place
                          : at::empty(gradient.sizes(), gradient.options().dtype(chunk.gradient_type));
    round_on_gpu(gradient, chunk.mask, to);
    return to;
  }
  const Tensor masked =
      chunk.mask.defined() ? gradient.masked_fill(chunk.mask.logical_not().unsqueeze(1), 0.0) : gradient;
  return chunk.gradient_place.defined() ? chunk.gradient_place.copy_(masked) : masked.to(chunk.gradient_type);
}

}  // namespace assay::kernels::backprop
