// SPDX-License-Identifier: Apache-2.0
#include "kernels/compile/checkpoint/packed_memory.hpp"

#include "kernels/nf4/quantize.hpp"

namespace assay::kernels::compile::checkpoint {
namespace {

nf4::ScalarType scalar_type(ElementType type) {
  return type == ElementType::kFloat16    ? nf4::ScalarType::kFloat16
         : type == ElementType::kBfloat16 ? nf4::ScalarType::kBfloat16
                                          : nf4::ScalarType::kFloat32;
}

std::size_t blocks_of(std::int64_t count, std::int64_t size) {
  return static_cast<std::size_t>((count + size - 1) / size);
}

}  // namespace

nf4::PackedWeights PackedMemory::view() const {
  nf4::PackedWeights weights;
  weights.packed = packed.data(), weights.num_weights = count;
  weights.block_size = block_size, weights.codebook = codebook;
  weights.absmax_codes = absmax_codes.data(), weights.nested_absmax = nested_absmax.data();
  weights.nested_code = nested_code.data(), weights.nested_offset = &nested_offset;
  weights.nested_block_size = nested_block_size;
  return weights;
}

PackedMemory quantized(std::span<const std::byte> elements, ElementType type, std::int64_t count) {
  PackedMemory out;
  out.count = count;
  const std::size_t blocks = blocks_of(count, out.block_size);
  out.packed.resize(static_cast<std::size_t>((count + 1) / 2));
  out.absmax_codes.resize(blocks);
  out.nested_absmax.resize(blocks_of(static_cast<std::int64_t>(blocks), out.nested_block_size));
  out.nested_code.resize(256);
  nf4::dynamic_map(out.nested_code.data());
  std::vector<float> absmax(blocks);
  nf4::quantize_cpu({.in = elements.data(),
                     .in_type = scalar_type(type),
                     .num_weights = count,
                     .block_size = out.block_size,
                     .codebook = out.codebook,
                     .packed = out.packed.data(),
                     .absmax = absmax.data()});
  nf4::mean_absmax_cpu(absmax.data(), std::ssize(absmax), &out.nested_offset);
  nf4::quantize_absmax_cpu({.absmax = absmax.data(),
                            .num_blocks = std::ssize(absmax),
                            .nested_code = out.nested_code.data(),
                            .offset = &out.nested_offset,
                            .nested_block_size = out.nested_block_size,
                            .absmax_codes = out.absmax_codes.data(),
                            .nested_absmax = out.nested_absmax.data()});
  return out;
}

}  // namespace assay::kernels::compile::checkpoint
