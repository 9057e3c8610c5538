// SPDX-License-Identifier: Apache-2.0
// The JSON text of a safetensors header, without the layout: what safetensors_header.cpp checks against the
// file.
#pragma once

#include <string_view>

#include "harness/io/safetensors_header.hpp"

namespace assay::harness {

/// Fills `header.tensors` and `header.metadata`. Every tensor has dtype, shape and two offsets; whether they
/// agree with each other and with the file is not looked at. Throws UsageError.
void read_header_text(std::string_view text, SafetensorsHeader& header);

}  // namespace assay::harness
