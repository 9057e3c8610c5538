// SPDX-License-Identifier: Apache-2.0
// Arguments of the Triton kernel (kernels/nf4/triton/dequantize.py) from DequantizeArgs, choice of image,
// launch.
#include "kernels/nf4/dequantize_triton.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <stdexcept>
#include <string>

#include "kernels/common/cuda_check.hpp"

namespace assay::kernels::nf4 {
namespace {

bool aligned(const void* pointer, std::size_t to) {
  return reinterpret_cast<std::uintptr_t>(pointer) % to == 0;
}

std::size_t element_bytes(ScalarType type) {
  return type == ScalarType::kFloat32 ? 4 : 2;
}

void check_out(const DequantizeArgs& args) {
  if (args.out_type != ScalarType::kFloat16 && args.out_type != ScalarType::kBfloat16 &&
      args.out_type != ScalarType::kFloat32) {
    throw std::invalid_argument("dequantize_triton: expected f16, bf16 or f32 output, found type " +
                                std::to_string(static_cast<int>(args.out_type)));
  }
  if (args.weights.num_weights > 0 && args.out == nullptr)
    throw std::invalid_argument("dequantize_triton: expected an output pointer, found null");
  if (!aligned(args.out, element_bytes(args.out_type))) {
    throw std::invalid_argument("dequantize_triton: expected `out` aligned to its element of " +
                                std::to_string(element_bytes(args.out_type)) +
                                " bytes, found a pointer that is not");
  }
}

int current_sm() {
  int device = 0, major = 0, minor = 0;
  ASSAY_CUDA_CHECK(cudaGetDevice(&device));
  ASSAY_CUDA_CHECK(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device));
  ASSAY_CUDA_CHECK(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device));
  return major * 10 + minor;
}

/// The kernel's arguments by value, in the order of its signature.
struct KernelArguments {
  const void* packed;
  const void* absmax;
  const float* nested_code;
  const float* nested_absmax;
  const float* nested_offset;
  void* out;
  std::int64_t num_weights;
  std::int32_t block_shift;
  std::int32_t nested_block_shift;
  std::array<float, 16> code;

  explicit KernelArguments(const DequantizeArgs& args)
      : packed(args.weights.packed),
        absmax(args.weights.nested() ? static_cast<const void*>(args.weights.absmax_codes)
                                     : args.weights.absmax),
        nested_code(args.weights.nested_code),
        nested_absmax(args.weights.nested_absmax),
        nested_offset(args.weights.nested_offset),
        out(args.out),
        num_weights(args.weights.num_weights),
        block_shift(std::countr_zero(static_cast<unsigned>(args.weights.block_size))),
        nested_block_shift(std::countr_zero(static_cast<unsigned>(args.weights.nested_block_size))) {
    std::ranges::copy(code_table(args.weights.codebook), code.begin());
  }

  std::vector<void*> pointers() {
    std::vector<void*> p{&packed, &absmax,      &nested_code, &nested_absmax,     &nested_offset,
                         &out,    &num_weights, &block_shift, &nested_block_shift};
    for (float& c : code) p.push_back(&c);
    return p;
  }
};

}  // namespace

std::string_view dequantize_triton_image_name(const DequantizeArgs& args) {
  static constexpr std::string_view kNames[3][2][2] = {
      {{"f16_single_unaligned", "f16_single_aligned"}, {"f16_nested_unaligned", "f16_nested_aligned"}},
      {{"bf16_single_unaligned", "bf16_single_aligned"}, {"bf16_nested_unaligned", "bf16_nested_aligned"}},
      {{"f32_single_unaligned", "f32_single_aligned"}, {"f32_nested_unaligned", "f32_nested_aligned"}}};
  const std::size_t word_bytes = args.out_type == ScalarType::kFloat32 ? 2 : 4;
  const bool vectors = aligned(args.out, 16) && aligned(args.weights.packed, word_bytes);
  return kNames[static_cast<int>(args.out_type)][args.weights.nested()][vectors];
}

const TritonImage& dequantize_triton_target() {
  return choose_image(dequantize_triton_images(), "bf16_nested_aligned", current_sm());
}

void dequantize_triton(const DequantizeArgs& args, cudaStream_t stream) {
  validate(args.weights);
  check_out(args);
  if (args.weights.num_weights == 0)
    return;
  const TritonImage& image =
      choose_image(dequantize_triton_images(), dequantize_triton_image_name(args), current_sm());
  const std::int64_t programs =
      (args.weights.num_weights + image.weights_per_program - 1) / image.weights_per_program;
  launch_image(image, programs, KernelArguments(args).pointers(), stream);
}

}  // namespace assay::kernels::nf4
