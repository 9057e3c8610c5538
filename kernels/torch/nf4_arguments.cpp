// SPDX-License-Identifier: Apache-2.0
// Argument checks of the nf4 operators.
#include "kernels/torch/nf4_arguments.hpp"

#include <ATen/MemoryOverlap.h>
#include <c10/util/Exception.h>

namespace assay::kernels::torch {
namespace {

constexpr std::int64_t kNestedCodeSize = 256;

bool is_block_size(std::int64_t size) {
  return size >= 32 && size <= 4096 && (size & (size - 1)) == 0;
}

std::int64_t ceil_div(std::int64_t a, std::int64_t b) {
  return a / b + (a % b != 0);
}

void check_block_size(std::int64_t block_size) {
  TORCH_CHECK_VALUE(is_block_size(block_size),
                    "expected block_size to be a power of two from 32 to 4096, found ", block_size,
                    "; pass QuantState.blocksize");
}

void check_device(const at::Tensor& tensor, const at::Tensor& packed, const char* name) {
  TORCH_CHECK_VALUE(tensor.device() == packed.device(), "expected ", name, " on the device of packed, ",
                    packed.device(), ", found ", tensor.device(), "; move all of them to one device");
}

void check_float(const std::optional<at::Tensor>& tensor, const at::Tensor& packed, const char* name) {
  TORCH_CHECK_VALUE(
      tensor.has_value(), "expected ", name,
      " because absmax is uint8 (nested quantization), found None; pass nested_absmax, nested_code and "
      "nested_offset (QuantState.state2.absmax, .state2.code and .offset)");
  TORCH_CHECK_TYPE(tensor->scalar_type() == at::kFloat, "expected ", name, " of float32, found ",
                   tensor->scalar_type(), "; other types would change the weights, convert with .float()");
  check_device(*tensor, packed, name);
}

void check_contiguous(const at::Tensor& tensor, const char* name) {
  TORCH_CHECK_VALUE(tensor.is_contiguous(), "expected ", name, " to be contiguous, found strides ",
                    tensor.strides(), " for sizes ", tensor.sizes(), "; call .contiguous()");
}

void check_size(const at::Tensor& tensor, std::int64_t expected, const char* name, const char* reason) {
  TORCH_CHECK_VALUE(tensor.numel() == expected, "expected ", name, " of ", expected, " elements (", reason,
                    "), found ", tensor.numel(), "; check shape, block_size and nested_block_size");
  check_contiguous(tensor, name);
}

bool is_storage_type(at::ScalarType type) {
  return type == at::kByte || type == at::kHalf || type == at::kBFloat16 || type == at::kFloat;
}

}  // namespace

nf4::Codebook codebook(std::string_view quant_type) {
  TORCH_CHECK_VALUE(quant_type == "nf4" || quant_type == "fp4",
                    "expected quant_type \"nf4\" or \"fp4\", found \"", quant_type,
                    "\"; pass QuantState.quant_type");
  return quant_type == "nf4" ? nf4::Codebook::kNf4 : nf4::Codebook::kFp4;
}

void check_output_type(at::ScalarType dtype) {
  TORCH_CHECK_TYPE(dtype == at::kHalf || dtype == at::kBFloat16 || dtype == at::kFloat,
                   "expected float16, bfloat16 or float32 weights, found ", dtype);
}

nf4::ScalarType scalar_type(at::ScalarType dtype) {
  check_output_type(dtype);
  if (dtype == at::kHalf)
    return nf4::ScalarType::kFloat16;
  return dtype == at::kBFloat16 ? nf4::ScalarType::kBfloat16 : nf4::ScalarType::kFloat32;
}

void check_types(const Nf4Weights& w) {
  codebook(w.quant_type);
  check_block_size(w.block_size);
  TORCH_CHECK_TYPE(
      is_storage_type(w.packed.scalar_type()),
      "expected packed as uint8, or as the float16, bfloat16 or float32 of bitsandbytes' quant_storage, "
      "found ",
      w.packed.scalar_type());
  TORCH_CHECK_TYPE(w.absmax.scalar_type() == at::kByte || w.absmax.scalar_type() == at::kFloat,
                   "expected absmax of uint8 (nested quantization) or float32 (single level), found ",
                   w.absmax.scalar_type(), "; convert single-level absmax with .float()");
  check_device(w.absmax, w.packed, "absmax");
  if (w.absmax.scalar_type() == at::kFloat) {
    TORCH_CHECK_VALUE(
        !w.nested_absmax && !w.nested_code && !w.nested_offset,
        "expected no nested_absmax, nested_code or nested_offset because absmax is float32 (single "
        "level), found at least one; leave them out, or pass the uint8 absmax that belongs to them");
    return;
  }
  const std::int64_t nested = w.nested_block_size;
  TORCH_CHECK_VALUE(nested > 0 && nested <= (std::int64_t{1} << 30) && (nested & (nested - 1)) == 0,
                    "expected nested_block_size to be a power of two, found ", nested,
                    "; pass QuantState.state2.blocksize");
  check_float(w.nested_absmax, w.packed, "nested_absmax");
  check_float(w.nested_code, w.packed, "nested_code");
  check_float(w.nested_offset, w.packed, "nested_offset");
}

void check_quantize_types(const at::Tensor& weight, std::int64_t block_size, std::string_view quant_type) {
  codebook(quant_type);
  check_block_size(block_size);
  check_output_type(weight.scalar_type());
}

std::int64_t num_weights_of(at::IntArrayRef shape) {
  std::int64_t product = 1;
  bool overflow = false;
  for (const std::int64_t size : shape) {
    TORCH_CHECK_VALUE(size >= 0, "expected sizes of at least 0, found shape ", shape);
    overflow = __builtin_mul_overflow(product, size, &product) || overflow;
  }
  TORCH_CHECK_VALUE(!overflow, "expected fewer than 2^63 weights, found shape ", shape);
  return product;
}

nf4::PackedWeights packed_weights(const Nf4Weights& w, std::int64_t num_weights) {
  check_types(w);
  nf4::PackedWeights p;
  p.num_weights = num_weights;
  p.block_size = static_cast<std::int32_t>(w.block_size);
  p.codebook = codebook(w.quant_type);
  const auto bytes = static_cast<std::int64_t>(w.packed.nbytes());
  TORCH_CHECK_VALUE(bytes == ceil_div(num_weights, 2), "expected packed of ", ceil_div(num_weights, 2),
                    " bytes (", num_weights, " weights, two a byte), found ", bytes,
                    "; pass the shape that the weight had before it was packed (QuantState.shape)");
  check_contiguous(w.packed, "packed");
  check_size(w.absmax, p.num_blocks(), "absmax", "one a block");
  p.packed = static_cast<const std::uint8_t*>(w.packed.const_data_ptr());
  if (w.absmax.scalar_type() == at::kFloat) {
    p.absmax = w.absmax.const_data_ptr<float>();
    return p;
  }
  p.nested_block_size = static_cast<std::int32_t>(w.nested_block_size);
  check_size(*w.nested_absmax, ceil_div(p.num_blocks(), p.nested_block_size), "nested_absmax",
             "one a block of absmax");
  check_size(*w.nested_code, kNestedCodeSize, "nested_code", "the 8-bit map");
  check_size(*w.nested_offset, 1, "nested_offset", "a scalar");
  p.absmax_codes = w.absmax.const_data_ptr<std::uint8_t>();
  p.nested_absmax = w.nested_absmax->const_data_ptr<float>();
  p.nested_code = w.nested_code->const_data_ptr<float>();
  p.nested_offset = w.nested_offset->const_data_ptr<float>();
  return p;
}

void check_out(const at::Tensor& out, const Nf4Weights& weights) {
  check_output_type(out.scalar_type());
  check_device(out, weights.packed, "out");
  check_contiguous(out, "out");
  at::assert_no_internal_overlap(out);
  at::assert_no_overlap(out, weights.packed);
  at::assert_no_overlap(out, weights.absmax);
  for (const auto* nested : {&weights.nested_absmax, &weights.nested_code, &weights.nested_offset}) {
    if (nested->has_value())
      at::assert_no_overlap(out, **nested);
  }
}

}  // namespace assay::kernels::torch
