// SPDX-License-Identifier: Apache-2.0
// One double-quantized weight in host memory: read as bitsandbytes stored it, or quantized here.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/compile/checkpoint/elements.hpp"
#include "kernels/compile/checkpoint/stored_model.hpp"
#include "kernels/nf4/format.hpp"

namespace assay::kernels::compile::checkpoint {

struct PackedMemory {
  std::int64_t count = 0;  ///< weights
  nf4::Codebook codebook = nf4::Codebook::kNf4;
  std::int32_t block_size = 64, nested_block_size = 256;
  std::vector<std::uint8_t> packed, absmax_codes;
  std::vector<float> nested_absmax, nested_code;
  float nested_offset = 0.0f;

  nf4::PackedWeights view() const;  ///< points into this object
};

/// NF4 in blocks of 64 and 256, as bitsandbytes' CPU library rounds (kernels/nf4/quantize.hpp; the offset is
/// mean_absmax_cpu's, whose last bit may differ from torch.mean). `elements`: [count] of `type`, finite.
PackedMemory quantized(std::span<const std::byte> elements, ElementType type, std::int64_t count);

/// Whether bitsandbytes' quantization state lies beside the tensor `name`.
bool is_four_bit(const StoredModel& model, const std::string& name);
/// The tensors that belong to a 4-bit weight, itself included.
std::vector<std::string> parts_of_four_bit(const StoredModel& model, const std::string& name);

/// Reads the 4-bit weight `name` of rows × columns. Throws std::invalid_argument naming the part: missing, of
/// another type or length, a state for another shape, values that are not bitsandbytes' or not finite, and
/// statistics of one level, which the step cannot decode.
PackedMemory read_four_bit(const StoredModel& model, const std::string& name, std::int64_t rows,
                           std::int64_t columns);
/// The same checks without the values: everything but small parts stays unread.
void check_four_bit(const StoredModel& model, const std::string& name, std::int64_t rows,
                    std::int64_t columns);

}  // namespace assay::kernels::compile::checkpoint
