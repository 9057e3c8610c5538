// SPDX-License-Identifier: Apache-2.0
// Checks every entry point makes before it touches memory, and the kernels' code tables.
// reference/nf4/table.hpp writes the tables out again; a suite test compares the two.
#include "kernels/nf4/format.hpp"

#include <bit>
#include <stdexcept>
#include <string>

#include "kernels/nf4/quantize.hpp"

namespace assay::kernels::nf4 {
namespace {

// QLoRA (arXiv 2305.14314) appendix E as f32, and bitsandbytes' FP4 map ordered by code, bit 3 the sign.
constexpr float kCodes[2][16] = {
    {-1.0f, -0.6961928009986877f, -0.5250730514526367f, -0.39491748809814453f, -0.28444138169288635f,
     -0.18477343022823334f, -0.09105003625154495f, 0.0f, 0.07958029955625534f, 0.16093020141124725f,
     0.24611230194568634f, 0.33791524171829224f, 0.44070982933044434f, 0.5626170039176941f,
     0.7229568362236023f, 1.0f},
    {0.0f, 0.005208333333f, 0.66666667f, 1.0f, 0.33333333f, 0.5f, 0.16666667f, 0.25f,  //
     -0.0f, -0.005208333333f, -0.66666667f, -1.0f, -0.33333333f, -0.5f, -0.16666667f, -0.25f}};

[[noreturn]] void refuse(const std::string& expected, const std::string& found, const std::string& remedy) {
  throw std::invalid_argument("4-bit weights: expected " + expected + ", found " + found + "; " + remedy);
}

bool power_of_two(std::int32_t n) {
  return n > 0 && std::has_single_bit(static_cast<std::uint32_t>(n));
}

void require_block_size(std::int32_t block_size) {
  if (!power_of_two(block_size) || block_size < 32 || block_size > 4096)
    refuse("block_size to be a power of two from 32 to 4096", std::to_string(block_size),
           "pass the block size the weights were quantized with");
}

void require_nested_block_size(std::int32_t block_size) {
  if (!power_of_two(block_size))
    refuse("nested_block_size to be a power of two", std::to_string(block_size),
           "pass the second level's block size, 256 in bitsandbytes");
}

void require_bytes(const void* pointer, const char* name) {
  if (pointer == nullptr)
    refuse(std::string(name) + " to point to memory", "a null pointer", "set it as the header describes");
}

std::size_t size_of(ScalarType type) {
  switch (type) {
    case ScalarType::kFloat16:
    case ScalarType::kBfloat16:
      return 2;
    case ScalarType::kFloat32:
      return 4;
  }
  refuse("a scalar type kFloat16, kBfloat16 or kFloat32", "value " + std::to_string(static_cast<int>(type)),
         "use one of the three");
}

void require_floats(const float* pointer, const char* name) {
  if (pointer == nullptr)
    refuse(std::string(name) + " to point to f32 values", "a null pointer", "set it as the header describes");
  if (reinterpret_cast<std::uintptr_t>(pointer) % alignof(float) != 0)
    refuse(std::string(name) + " to be aligned to 4 bytes", "an address that is not",
           "copy the values to an f32 array first");
}

void refuse_stray(const float* pointer, const char* name) {
  if (pointer != nullptr)
    refuse(std::string("no ") + name + " beside single-level absmax", "one",
           "set absmax_codes instead of absmax for nested weights, or leave the nested fields null");
}

}  // namespace

std::span<const float, 16> code_table(Codebook codebook) {
  if (codebook != Codebook::kNf4 && codebook != Codebook::kFp4)
    refuse("codebook kNf4 or kFp4", "value " + std::to_string(static_cast<int>(codebook)),
           "use one of the two");
  return kCodes[static_cast<int>(codebook)];
}

void validate(const PackedWeights& weights) {
  code_table(weights.codebook);
  if (weights.num_weights < 0)
    refuse("num_weights >= 0", std::to_string(weights.num_weights), "check the shape for overflow");
  require_block_size(weights.block_size);
  if (weights.absmax != nullptr && weights.absmax_codes != nullptr)
    refuse("either absmax (single level) or absmax_codes (nested)", "both",
           "set only the one the weights have");
  if (weights.nested())
    require_nested_block_size(weights.nested_block_size);
  if (weights.num_weights == 0)
    return;
  if (weights.packed == nullptr)
    refuse("packed to point to " + std::to_string((weights.num_weights + 1) / 2) + " bytes", "a null pointer",
           "set it to the 4-bit data");
  if (weights.nested()) {
    require_floats(weights.nested_absmax, "nested_absmax");
    require_floats(weights.nested_code, "nested_code");
    require_floats(weights.nested_offset, "nested_offset");
  } else {
    require_floats(weights.absmax, "absmax (or absmax_codes for nested weights)");
    refuse_stray(weights.nested_absmax, "nested_absmax");
    refuse_stray(weights.nested_code, "nested_code");
    refuse_stray(weights.nested_offset, "nested_offset");
  }
}

void validate(const QuantizeArgs& args) {
  code_table(args.codebook);
  const std::size_t size = size_of(args.in_type);
  if (args.num_weights < 0)
    refuse("num_weights >= 0", std::to_string(args.num_weights), "check the shape for overflow");
  require_block_size(args.block_size);
  if (args.num_weights == 0)
    return;
  require_bytes(args.in, "in");
  if (reinterpret_cast<std::uintptr_t>(args.in) % size != 0)
    refuse("in to be aligned to its element of " + std::to_string(size) + " bytes", "an address that is not",
           "copy the weights to an array of their type first");
  require_bytes(args.packed, "packed");
  require_floats(args.absmax, "absmax");
}

void validate(const QuantizeAbsmaxArgs& args) {
  if (args.num_blocks < 0)
    refuse("num_blocks >= 0", std::to_string(args.num_blocks), "check the shape for overflow");
  require_nested_block_size(args.nested_block_size);
  if (args.num_blocks == 0)
    return;
  require_floats(args.absmax, "absmax");
  require_floats(args.nested_code, "nested_code");
  require_floats(args.offset, "offset");
  require_bytes(args.absmax_codes, "absmax_codes");
  require_floats(args.nested_absmax, "nested_absmax");
}

}  // namespace assay::kernels::nf4
