// SPDX-License-Identifier: Apache-2.0
#include "kernels/torch/nf4_dequantize.hpp"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include "kernels/nf4/dequantize.hpp"
#include "kernels/nf4/dequantize_cpu.hpp"

namespace assay::kernels::torch {
namespace {

using at::Tensor;

void run_dequantize(const nf4::PackedWeights& weights, const Tensor& out) {
  const nf4::ScalarType type = scalar_type(out.scalar_type());
  if (weights.num_weights == 0)
    return;
  if (out.is_cuda()) {
    const c10::cuda::CUDAGuard guard(out.device());
    nf4::dequantize({.weights = weights, .out = out.mutable_data_ptr(), .out_type = type},
                    c10::cuda::getCurrentCUDAStream());
  } else {
    nf4::dequantize_cpu(weights, out.mutable_data_ptr(), type, at::get_num_threads());
  }
}

}  // namespace

Tensor dequantize(const Tensor& packed, const Tensor& absmax, at::IntArrayRef shape, at::ScalarType dtype,
                  std::int64_t block_size, std::string_view quant_type, const MaybeTensor& nested_absmax,
                  const MaybeTensor& nested_code, const MaybeTensor& nested_offset,
                  std::int64_t nested_block_size) {
  const auto weights = packed_weights(
      {packed, absmax, block_size, quant_type, nested_absmax, nested_code, nested_offset, nested_block_size},
      num_weights_of(shape));
  check_output_type(dtype);
  const Tensor out = at::empty(shape, packed.options().dtype(dtype));
  run_dequantize(weights, out);
  return out;
}

void dequantize_out(const Tensor& packed, const Tensor& absmax, std::int64_t block_size,
                    std::string_view quant_type, const MaybeTensor& nested_absmax,
                    const MaybeTensor& nested_code, const MaybeTensor& nested_offset,
                    std::int64_t nested_block_size, const Tensor& out) {
  const Nf4Weights arguments{packed,        absmax,      block_size,    quant_type,
                             nested_absmax, nested_code, nested_offset, nested_block_size};
  const auto weights = packed_weights(arguments, out.numel());
  check_out(out, arguments);
  run_dequantize(weights, out);
}

}  // namespace assay::kernels::torch
