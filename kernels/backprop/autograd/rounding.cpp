// SPDX-License-Identifier: Apache-2.0
#include "kernels/backprop/autograd/rounding.hpp"

#include <ATen/ops/empty.h>
#include <ATen/ops/mul.h>
#include <c10/cuda/CUDAStream.h>

#include "kernels/backprop/round_rows.hpp"

namespace assay::kernels::backprop {
namespace {

using at::Tensor;

/// Whether round_rows can do it: rows on a GPU, of f32 or of the 16-bit type that is wanted.
bool one_kernel_does(const Tensor& from, at::ScalarType type) {
  return from.is_cuda() && (from.scalar_type() == at::kFloat || from.scalar_type() == type) &&
         (type == at::kHalf || type == at::kBFloat16) && from.dim() == 2 && from.stride(1) == 1 &&
         from.stride(0) >= from.size(1);
}

RoundRows rounding_of(const Tensor& from, const Tensor& to) {
  RoundRows args;
  args.from = from.const_data_ptr();
  args.from_f32 = from.scalar_type() == at::kFloat;
  args.to = to.mutable_data_ptr();
  args.type = to.scalar_type() == at::kHalf ? LogitType::kFloat16 : LogitType::kBfloat16;
  args.rows = from.size(0), args.columns = from.size(1);
  args.from_stride = from.stride(0), args.to_stride = to.stride(0);
  return args;
}

cudaStream_t stream_of(const Tensor& t) {
  return c10::cuda::getCurrentCUDAStream(t.device().index());
}

}  // namespace

Tensor rounded_gradient(const Tensor& gradient, const MaskedChunk& chunk) {
  const Tensor& mask = chunk.mask;
  if (one_kernel_does(gradient, chunk.gradient_type) && (!mask.defined() || mask.is_contiguous())) {
    const Tensor to = chunk.gradient_place.defined()
                          ? chunk.gradient_place
                          : at::empty(gradient.sizes(), gradient.options().dtype(chunk.gradient_type));
    RoundRows args = rounding_of(gradient, to);
    if (mask.defined())
      args.counts = mask.const_data_ptr<bool>();
    round_rows(args, stream_of(gradient));
    return to;
  }
  const Tensor masked =
      mask.defined() ? gradient.masked_fill(mask.logical_not().unsqueeze(1), 0.0) : gradient;
  return chunk.gradient_place.defined() ? chunk.gradient_place.copy_(masked) : masked.to(chunk.gradient_type);
}

Tensor scaled(const Tensor& sum, const Tensor& factor, at::ScalarType type) {
  Tensor out = at::empty(sum.sizes(), sum.options().dtype(type));
  if (one_kernel_does(sum, type) && factor.scalar_type() == at::kFloat && factor.is_cuda()) {
    RoundRows args = rounding_of(sum, out);
    args.factor = factor.const_data_ptr<float>();
    round_rows(args, stream_of(sum));
    return out;
  }
  // One dimension, so that torch computes in the factor's f32 although the sum may be of 16 bits.
  return at::mul_out(out, sum, factor.view({1}));
}

}  // namespace assay::kernels::backprop
