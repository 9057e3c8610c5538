// SPDX-License-Identifier: Apache-2.0
// A bitsandbytes-4bit weight out of a checkpoint.
#pragma once

#include "reference/llama/linear.hpp"
#include "reference/llama/safetensors.hpp"

namespace assay::reference::llama {

/// Whether `name` (with ".weight") has a quantization state beside it.
bool is_four_bit(const Checkpoint& checkpoint, const std::string& name);

/// Reads `name`, `name`.absmax, … on the CPU, and checks their types, lengths and the shape that the state
/// gives against rows × columns. Throws std::invalid_argument.
FourBitWeight read_four_bit(Checkpoint& checkpoint, const std::string& name, std::int64_t rows,
                            std::int64_t columns);

}  // namespace assay::reference::llama
