// SPDX-License-Identifier: Apache-2.0
// torch.ops.assay.nf4_dequantize and nf4_quantize: schemas, CPU, CUDA and fake (Meta) kernels.
//
// Not differentiable. nf4_dequantize leaves autograd to torch's fallback (a floating input that requires a
// gradient warns in backward); nf4_quantize's outputs never require one, as a frozen base model's weights
// should.
#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mean.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <torch/library.h>

#include <array>
#include <mutex>
#include <tuple>

#include "kernels/nf4/quantize.hpp"
#include "kernels/torch/nf4_arguments.hpp"
#include "kernels/torch/nf4_dequantize.hpp"

namespace assay::kernels::torch {
namespace {

using at::Tensor;
using Quantized = std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor>;

constexpr std::int64_t kNestedBlockSize = 256;

/// bitsandbytes' 8-bit map on `device`. Uploaded once a GPU, so that later calls are copies on the stream and
/// may be captured in a graph; kept for the life of the process, which ends after CUDA does.
Tensor dynamic_map_on(c10::Device device) {
  const auto make = [] {
    Tensor map = at::empty({256}, at::kFloat);
    nf4::dynamic_map(map.mutable_data_ptr<float>());
    return map;
  };
  if (device.is_cpu())
    return make();
  static std::mutex mutex;
  static auto& uploaded = *new std::array<Tensor, C10_COMPILE_TIME_MAX_GPUS>;
  const std::lock_guard lock(mutex);
  Tensor& map = uploaded.at(static_cast<std::size_t>(device.index()));
  if (!map.defined())
    map = make().to(device);
  return map.clone();
}

void run_quantize(const nf4::QuantizeArgs& args, bool cuda) {
  if (args.num_weights == 0)
    return;
  if (cuda)
    nf4::quantize(args, c10::cuda::getCurrentCUDAStream());
  else
    nf4::quantize_cpu(args, at::get_num_threads());
}

/// Second level. The offset is torch's own mean on the same device: its order of summation decides its bits,
/// and bitsandbytes takes the same.
Quantized nest(const Tensor& packed, const Tensor& absmax) {
  const std::int64_t blocks = absmax.numel();
  const Tensor offset = at::mean(absmax);
  const Tensor code = dynamic_map_on(absmax.device());
  const Tensor codes = at::empty({blocks}, absmax.options().dtype(at::kByte));
  const Tensor nested_absmax =
      at::empty({(blocks + kNestedBlockSize - 1) / kNestedBlockSize}, absmax.options());
  const nf4::QuantizeAbsmaxArgs args{.absmax = absmax.const_data_ptr<float>(),
                                     .num_blocks = blocks,
                                     .nested_code = code.const_data_ptr<float>(),
                                     .offset = offset.const_data_ptr<float>(),
                                     .nested_block_size = kNestedBlockSize,
                                     .absmax_codes = codes.mutable_data_ptr<std::uint8_t>(),
                                     .nested_absmax = nested_absmax.mutable_data_ptr<float>()};
  if (blocks > 0 && absmax.is_cuda())
    nf4::quantize_absmax(args, c10::cuda::getCurrentCUDAStream());
  else if (blocks > 0)
    nf4::quantize_absmax_cpu(args, at::get_num_threads());
  return {packed, codes, nested_absmax, code, offset};
}

Quantized quantize(const Tensor& weight, std::int64_t block_size, std::string_view quant_type, bool nested) {
  check_quantize_types(weight, block_size, quant_type);
  const c10::OptionalDeviceGuard guard(weight.device());
  const Tensor in = weight.contiguous();
  const std::int64_t n = in.numel();
  const Tensor packed = at::empty({(n + 1) / 2, 1}, in.options().dtype(at::kByte));
  const Tensor absmax = at::empty({(n + block_size - 1) / block_size}, in.options().dtype(at::kFloat));
  run_quantize({.in = in.const_data_ptr(),
                .in_type = scalar_type(in.scalar_type()),
                .num_weights = n,
                .block_size = static_cast<std::int32_t>(block_size),
                .codebook = codebook(quant_type),
                .packed = packed.mutable_data_ptr<std::uint8_t>(),
                .absmax = absmax.mutable_data_ptr<float>()},
               in.is_cuda());
  if (nested)
    return nest(packed, absmax);
  const auto none = [&] { return at::empty({0}, absmax.options()); };
  return {packed, absmax, none(), none(), none()};
}

// Fake kernels: sizes are symbols, so they only compute with them and never compare.

Tensor fake_dequantize(const Tensor& packed, const Tensor& absmax, c10::SymIntArrayRef shape,
                       at::ScalarType dtype, std::int64_t block_size, std::string_view quant_type,
                       const MaybeTensor& nested_absmax, const MaybeTensor& nested_code,
                       const MaybeTensor& nested_offset, std::int64_t nested_block_size) {
  check_types(
      {packed, absmax, block_size, quant_type, nested_absmax, nested_code, nested_offset, nested_block_size});
  check_output_type(dtype);
  return at::empty_symint(shape, packed.options().dtype(dtype));
}

void fake_dequantize_out(const Tensor& packed, const Tensor& absmax, std::int64_t block_size,
                         std::string_view quant_type, const MaybeTensor& nested_absmax,
                         const MaybeTensor& nested_code, const MaybeTensor& nested_offset,
                         std::int64_t nested_block_size, const Tensor& out) {
  check_types(
      {packed, absmax, block_size, quant_type, nested_absmax, nested_code, nested_offset, nested_block_size});
  check_output_type(out.scalar_type());
}

Quantized fake_quantize(const Tensor& weight, std::int64_t block_size, std::string_view quant_type,
                        bool nested) {
  check_quantize_types(weight, block_size, quant_type);
  const c10::SymInt n = weight.sym_numel();
  const c10::SymInt blocks = (n + (block_size - 1)) / block_size;
  const auto bytes = weight.options().dtype(at::kByte);
  const auto floats = weight.options().dtype(at::kFloat);
  const Tensor packed = at::empty_symint({(n + 1) / 2, 1}, bytes);
  if (!nested) {
    const auto none = [&] { return at::empty({0}, floats); };
    return {packed, at::empty_symint({blocks}, floats), none(), none(), none()};
  }
  return {packed, at::empty_symint({blocks}, bytes),
          at::empty_symint({(blocks + (kNestedBlockSize - 1)) / kNestedBlockSize}, floats),
          at::empty({256}, floats), at::empty({}, floats)};
}

}  // namespace
}  // namespace assay::kernels::torch

TORCH_LIBRARY_FRAGMENT(assay, m) {
  const std::vector<at::Tag> tags{at::Tag::pt2_compliant_tag};
  m.def(
      "nf4_dequantize(Tensor packed, Tensor absmax, SymInt[] shape, ScalarType dtype, *, int block_size=64, "
      "str quant_type=\"nf4\", Tensor? nested_absmax=None, Tensor? nested_code=None, Tensor? "
      "nested_offset=None, "
      "int nested_block_size=256) -> Tensor",
      tags);
  m.def(
      "nf4_dequantize.out(Tensor packed, Tensor absmax, *, int block_size=64, str quant_type=\"nf4\", "
      "Tensor? nested_absmax=None, Tensor? nested_code=None, Tensor? nested_offset=None, int "
      "nested_block_size=256, "
      "Tensor(a!) out) -> ()",
      tags);
  m.def(
      "nf4_quantize(Tensor weight, *, int block_size=64, str quant_type=\"nf4\", bool nested=True) -> "
      "(Tensor packed, Tensor absmax, Tensor nested_absmax, Tensor nested_code, Tensor nested_offset)",
      tags);
}

TORCH_LIBRARY_IMPL(assay, CPU, m) {
  m.impl("nf4_dequantize", assay::kernels::torch::dequantize);
  m.impl("nf4_dequantize.out", assay::kernels::torch::dequantize_out);
  m.impl("nf4_quantize", assay::kernels::torch::quantize);
}

TORCH_LIBRARY_IMPL(assay, CUDA, m) {
  m.impl("nf4_dequantize", assay::kernels::torch::dequantize);
  m.impl("nf4_dequantize.out", assay::kernels::torch::dequantize_out);
  m.impl("nf4_quantize", assay::kernels::torch::quantize);
}

TORCH_LIBRARY_IMPL(assay, Meta, m) {
  m.impl("nf4_dequantize", assay::kernels::torch::fake_dequantize);
  m.impl("nf4_dequantize.out", assay::kernels::torch::fake_dequantize_out);
  m.impl("nf4_quantize", assay::kernels::torch::fake_quantize);
}

TORCH_LIBRARY_IMPL(assay, Autograd, m) {
  m.impl("nf4_quantize", ::torch::CppFunction::makeFallthrough());
}
