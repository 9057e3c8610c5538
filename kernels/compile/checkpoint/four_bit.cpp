// SPDX-License-Identifier: Apache-2.0
// bitsandbytes-4bit weights of packed_memory.hpp. Beside "w" lie "w.absmax", "w.quant_map", with double
// quantization "w.nested_absmax" and "w.nested_quant_map", and a JSON text as bytes,
// "w.quant_state.bitsandbytes__nf4".
#include <algorithm>
#include <bit>
#include <cmath>
#include <stdexcept>

#include "kernels/compile/checkpoint/json_object.hpp"
#include "kernels/compile/checkpoint/packed_memory.hpp"

namespace assay::kernels::compile::checkpoint {
namespace {

constexpr const char* kState = ".quant_state.bitsandbytes__";
constexpr std::uint64_t kMostStateBytes = 4096;

std::int64_t blocks_of(std::int64_t count, std::int64_t size) {
  return (count + size - 1) / size;
}

std::int32_t block_size(const JsonObject& state, const char* key) {
  const std::int64_t size = state.count(key);
  state.require(size >= 32 && size <= 4096 && std::has_single_bit(static_cast<std::uint64_t>(size)), key,
                "a power of two from 32 to 4096");
  return static_cast<std::int32_t>(size);
}

/// One weight's parts, fetched with their checks.
class Reader {
 public:
  Reader(const StoredModel& model, const std::string& name, std::int64_t rows, std::int64_t columns)
      : model_(model), name_(name) {
    weight_.count = rows * columns;
    const bool is_nf4 = model.contains(name + kState + "nf4");
    weight_.codebook = is_nf4 ? nf4::Codebook::kNf4 : nf4::Codebook::kFp4;
    read_state(is_nf4 ? "nf4" : "fp4", Json({rows, columns}));
    require_map();
    blocks_ = blocks_of(weight_.count, weight_.block_size);
    require_packed();
    part(".absmax", "U8", blocks_);
    part(".nested_absmax", "F32", blocks_of(blocks_, weight_.nested_block_size));
    part(".nested_quant_map", "F32", 256);
  }

  PackedMemory read() {
    weight_.packed.resize(model_.tensor(name_).bytes);
    model_.read(name_, std::as_writable_bytes(std::span(weight_.packed)));
    weight_.absmax_codes.resize(static_cast<std::size_t>(blocks_));
    model_.read(name_ + ".absmax", std::as_writable_bytes(std::span(weight_.absmax_codes)));
    weight_.nested_absmax = floats(".nested_absmax");
    weight_.nested_code = floats(".nested_quant_map");
    return std::move(weight_);
  }

 private:
  [[noreturn]] void refuse(const std::string& part, const std::string& what) const {
    throw std::invalid_argument(name_ + part + ": expected " + what);
  }

  const StoredTensor& part(const std::string& part, const char* type, std::int64_t count) const {
    const StoredTensor& tensor = model_.tensor(name_ + part);
    if (tensor.type != type || tensor.count() != count)
      refuse(part, std::to_string(count) + " elements of " + type + ", found " + text_of(tensor));
    return tensor;
  }

  std::vector<float> floats(const std::string& part) const {
    std::vector<float> values(static_cast<std::size_t>(model_.tensor(name_ + part).count()));
    model_.read(name_ + part, std::as_writable_bytes(std::span(values)));
    if (!std::ranges::all_of(values, [](float value) { return std::isfinite(value); }))
      refuse(part, "finite values, found NaN or infinity");
    return values;
  }

  void read_state(const std::string& quant_type, const Json& shape) {
    const std::string part = kState + quant_type;
    const StoredTensor& tensor = model_.tensor(name_ + part);
    if (tensor.type != "U8" || tensor.bytes > kMostStateBytes)
      refuse(part, "JSON text of at most 4096 U8, found " + text_of(tensor));
    std::string text(tensor.bytes, '\0');
    model_.read(name_ + part, std::as_writable_bytes(std::span(text)));
    try {
      read_state(quant_type, shape, parse_object(text.substr(0, text.find_last_not_of('\0') + 1)));
    } catch (const std::invalid_argument& error) {
      throw std::invalid_argument(name_ + part + ": " + error.what());
    }
  }

  void read_state(const std::string& quant_type, const Json& shape, const Json& json) {
    const JsonObject state(json);
    state.require(state.text("quant_type") == quant_type, "quant_type", quant_type);
    state.require(state.has("shape") && state.at("shape") == shape, "shape", shape.dump());
    weight_.block_size = block_size(state, "blocksize");
    state.require(
        state.has("nested_offset"), "nested_offset",
        "double-quantized statistics (bnb_4bit_use_double_quant); quantize the model so, or give its "
        "16-bit checkpoint");
    weight_.nested_block_size = block_size(state, "nested_blocksize");
    weight_.nested_offset = static_cast<float>(state.number("nested_offset"));
    state.require(std::isfinite(weight_.nested_offset), "nested_offset", "a number within f32");
  }

  /// −0 and +0 are one value: bitsandbytes stores either for code 8 of FP4.
  void require_map() const {
    part(".quant_map", "F32", 16);
    if (!std::ranges::equal(floats(".quant_map"), nf4::code_table(weight_.codebook)))
      refuse(".quant_map", "bitsandbytes' 16 values, found others");
  }

  /// Its bytes count, whatever the type they are stored as (bnb_4bit_quant_storage), the last element padded.
  void require_packed() const {
    const StoredTensor& tensor = model_.tensor(name_);
    const auto wanted = static_cast<std::uint64_t>((weight_.count + 1) / 2);
    const std::uint64_t element =
        tensor.bytes == 0 ? 1 : tensor.bytes / static_cast<std::uint64_t>(tensor.count());
    if (tensor.bytes != (wanted + element - 1) / element * element)
      refuse("", std::to_string(wanted) + " bytes for " + std::to_string(weight_.count) + " weights, found " +
                     text_of(tensor));
  }

  const StoredModel& model_;
  std::string name_;
  PackedMemory weight_;
  std::int64_t blocks_ = 0;
};

}  // namespace

bool is_four_bit(const StoredModel& model, const std::string& name) {
  return model.contains(name + kState + "nf4") || model.contains(name + kState + "fp4");
}

std::vector<std::string> parts_of_four_bit(const StoredModel& model, const std::string& name) {
  std::vector<std::string> names;
  for (const char* part : {"", ".absmax", ".quant_map", ".nested_absmax", ".nested_quant_map",
                           ".quant_state.bitsandbytes__nf4", ".quant_state.bitsandbytes__fp4"})
    if (model.contains(name + part))
      names.push_back(name + part);
  return names;
}

PackedMemory read_four_bit(const StoredModel& model, const std::string& name, std::int64_t rows,
                           std::int64_t columns) {
  return Reader(model, name, rows, columns).read();
}

void check_four_bit(const StoredModel& model, const std::string& name, std::int64_t rows,
                    std::int64_t columns) {
  Reader(model, name, rows, columns);
}

}  // namespace assay::kernels::compile::checkpoint
