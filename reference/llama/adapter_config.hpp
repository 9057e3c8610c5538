// SPDX-License-Identifier: Apache-2.0
// PEFT's adapter_config.json.
#pragma once

#include <string>
#include <string_view>

#include "reference/llama/adapter.hpp"

namespace assay::reference::llama {

/// Throws std::invalid_argument naming the key. Keys that are not known here must be null, false, 0 or empty:
/// then they ask for nothing.
LoraOptions parse_adapter_config(std::string_view json_text);

std::string adapter_config_text(const LoraOptions& options);

}  // namespace assay::reference::llama
