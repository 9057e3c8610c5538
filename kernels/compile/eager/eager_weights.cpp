// SPDX-License-Identifier: Apache-2.0
#include "kernels/compile/eager/eager_weights.hpp"

#include <ATen/ops/empty.h>

#include <cstring>
#include <stdexcept>

namespace assay::kernels::compile {
namespace {

at::Tensor tensor_of(const void* data, std::int64_t count, at::ScalarType type) {
  at::Tensor tensor = at::empty({count}, type);
  std::memcpy(tensor.mutable_data_ptr(), data, tensor.nbytes());
  return tensor;
}

}  // namespace

void EagerWeights::dense(const std::string& name, std::span<const std::byte> elements) {
  const at::ScalarType type = name == "frequencies" ? at::kFloat : compute_;
  const auto count = static_cast<std::int64_t>(elements.size() / c10::elementSize(type));
  step_.bind(name, tensor_of(elements.data(), count, type));
}

void EagerWeights::packed(const std::string& name, const nf4::PackedWeights& w) {
  if (w.codebook != nf4::Codebook::kNf4 || w.block_size != 64 || w.nested_block_size != 256)
    throw std::invalid_argument("'" + name + "': expected NF4 in blocks of 64 and 256, found " +
                                (w.codebook == nf4::Codebook::kNf4 ? "NF4" : "FP4") + " in blocks of " +
                                std::to_string(w.block_size) + " and " + std::to_string(w.nested_block_size));
  const std::int64_t blocks = w.num_blocks();
  step_.bind(name,
             PackedTensors{.packed = tensor_of(w.packed, (w.num_weights + 1) / 2, at::kByte),
                           .absmax_codes = tensor_of(w.absmax_codes, blocks, at::kByte),
                           .nested_absmax = tensor_of(w.nested_absmax, (blocks + 255) / 256, at::kFloat),
                           .nested_code = tensor_of(w.nested_code, 256, at::kFloat),
                           .nested_offset = tensor_of(w.nested_offset, 1, at::kFloat)});
}

void EagerWeights::adapter(const std::string& name, std::span<const float> values) {
  const at::Tensor tensor = tensor_of(values.data(), std::ssize(values), at::kFloat);
  step_.bind(name, tensor);
  step_.tensor(name + ".copy").copy_(step_.tensor(name));
}

}  // namespace assay::kernels::compile
