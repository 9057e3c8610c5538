// SPDX-License-Identifier: Apache-2.0
#include "reference/llama/four_bit_checkpoint.hpp"

#include <ATen/ops/scalar_tensor.h>

#include <algorithm>
#include <sstream>
#include <stdexcept>

#include "reference/llama/json_fields.hpp"
#include "reference/nf4/table.hpp"

namespace assay::reference::llama {
namespace {

using at::Tensor;

std::string state_name(const std::string& name, const char* quant_type) {
  return name + ".quant_state.bitsandbytes__" + quant_type;
}

std::int64_t blocks_of(std::int64_t count, std::int64_t block_size) {
  return (count + block_size - 1) / block_size;
}

Tensor read_as(Checkpoint& checkpoint, const std::string& name, at::ScalarType type, std::int64_t count) {
  const Tensor tensor = checkpoint.read(name);
  if (tensor.scalar_type() != type || tensor.numel() != count) {
    std::ostringstream text;
    text << name << ": expected " << count << " elements of " << type << ", found " << tensor.numel()
         << " of " << tensor.scalar_type();
    throw std::invalid_argument(text.str());
  }
  return tensor.reshape(-1);
}

at::ScalarType stored_type(const Fields& state) {
  const std::string name = state.text("dtype");
  if (name == "float32")
    return at::kFloat;
  if (name == "float16")
    return at::kHalf;
  if (name != "bfloat16")
    state.refuse("dtype", "float32, float16 or bfloat16");
  return at::kBFloat16;
}

/// The state of `weight` as its JSON gives it; returns whether statistics are nested.
bool read_state(const nlohmann::json& json, FourBitWeight& weight) {
  const Fields state(json);
  if (state.text("quant_type") != weight.quant_type)
    state.refuse("quant_type", weight.quant_type);
  weight.block_size = state.positive("blocksize");
  weight.stored_type = stored_type(state);
  if (!state.has("shape") || state.raw("shape") != nlohmann::json({weight.rows, weight.columns}))
    state.refuse("shape", "[" + std::to_string(weight.rows) + ", " + std::to_string(weight.columns) + "]");
  if (!state.has("nested_offset"))
    return false;
  weight.nested_block_size = state.positive("nested_blocksize");
  weight.nested_offset = at::scalar_tensor(state.number("nested_offset"), at::kFloat);
  return true;
}

}  // namespace

bool is_four_bit(const Checkpoint& checkpoint, const std::string& name) {
  return checkpoint.contains(state_name(name, "nf4")) || checkpoint.contains(state_name(name, "fp4"));
}

FourBitWeight read_four_bit(Checkpoint& checkpoint, const std::string& name, std::int64_t rows,
                            std::int64_t columns) {
  FourBitWeight weight;
  weight.rows = rows;
  weight.columns = columns;
  weight.quant_type = checkpoint.contains(state_name(name, "nf4")) ? "nf4" : "fp4";
  const std::string state = state_name(name, weight.quant_type.c_str());
  const Tensor text = checkpoint.read(state);
  bool nested = false;
  try {
    nested =
        read_state(parse_object({static_cast<const char*>(text.const_data_ptr()), text.nbytes()}), weight);
  } catch (const std::invalid_argument& error) {
    throw std::invalid_argument(state + ": " + error.what());
  }
  const std::int64_t count = rows * columns, blocks = blocks_of(count, weight.block_size);
  weight.packed = read_as(checkpoint, name, at::kByte, (count + 1) / 2);
  weight.absmax = read_as(checkpoint, name + ".absmax", nested ? at::kByte : at::kFloat, blocks);
  if (nested) {
    weight.nested_absmax =
        read_as(checkpoint, name + ".nested_absmax", at::kFloat, blocks_of(blocks, weight.nested_block_size));
    weight.nested_code = read_as(checkpoint, name + ".nested_quant_map", at::kFloat, 256);
  }
  const Tensor code = read_as(checkpoint, name + ".quant_map", at::kFloat, 16);
  const float* expected = weight.quant_type == "nf4" ? nf4::kNf4Code : nf4::kFp4Code;
  if (!std::equal(expected, expected + 16, code.const_data_ptr<float>()))
    throw std::invalid_argument(name + ".quant_map: expected bitsandbytes' " + weight.quant_type +
                                " values, found others");
  return weight;
}

}  // namespace assay::reference::llama
