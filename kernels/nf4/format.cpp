// SPDX-License-Identifier: Apache-2.0
// Checks every entry point makes before it touches memory, and the kernels' code tables. reference/nf4/table.hpp writes
// the tables out again; a suite test compares the two.
#include "kernels/nf4/format.hpp"

#include <bit>
#include <stdexcept>
#include <string>

namespace assay::kernels::nf4 {
namespace {

// QLoRA (arXiv 2305.14314) appendix E as f32, and bitsandbytes' FP4 map ordered by code, bit 3 the sign.
constexpr float kCodes[2][16] = {
    {-1.0f, -0.6961928009986877f, -0.5250730514526367f, -0.39491748809814453f, -0.28444138169288635f,
     -0.18477343022823334f, -0.09105003625154495f, 0.0f, 0.07958029955625534f, 0.16093020141124725f,
     0.24611230194568634f, 0.33791524171829224f, 0.44070982933044434f, 0.5626170039176941f, 0.7229568362236023f, 1.0f},
    {0.0f, 0.005208333333f, 0.66666667f, 1.0f, 0.33333333f, 0.5f, 0.16666667f, 0.25f,  //
     -0.0f, -0.005208333333f, -0.66666667f, -1.0f, -0.33333333f, -0.5f, -0.16666667f, -0.25f}};

[[noreturn]] void refuse(const std::string& expected, const std::string& found, const std::string& remedy) {
  throw std::invalid_argument("4-bit weights: expected " + expected + ", found " + found + "; " + remedy);
}

bool power_of_two(std::int32_t n) { return n > 0 && std::has_single_bit(static_cast<std::uint32_t>(n)); }

void require_floats(const float* pointer, const char* name) {
  if (pointer == nullptr)
    refuse(std::string(name) + " to point to f32 values", "a null pointer", "set it as format.hpp describes");
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
    refuse("codebook kNf4 or kFp4", "value " + std::to_string(static_cast<int>(codebook)), "use one of the two");
  return kCodes[static_cast<int>(codebook)];
}

void validate(const PackedWeights& weights) {
  code_table(weights.codebook);
  if (weights.num_weights < 0)
    refuse("num_weights >= 0", std::to_string(weights.num_weights), "check the shape for overflow");
  if (!power_of_two(weights.block_size) || weights.block_size < 32 || weights.block_size > 4096)
    refuse("block_size to be a power of two from 32 to 4096", std::to_string(weights.block_size),
           "pass the block size the weights were quantized with");
  if (weights.absmax != nullptr && weights.absmax_codes != nullptr)
    refuse("either absmax (single level) or absmax_codes (nested)", "both", "set only the one the weights have");
  if (weights.nested() && !power_of_two(weights.nested_block_size))
    refuse("nested_block_size to be a power of two", std::to_string(weights.nested_block_size),
           "pass the second level's block size, 256 in bitsandbytes");
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

}  // namespace assay::kernels::nf4
