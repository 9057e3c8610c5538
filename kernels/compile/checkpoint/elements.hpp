// SPDX-License-Identifier: Apache-2.0
// Floating-point elements as files hold them, in the types of a step.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "kernels/llama/element_type.hpp"

namespace assay::kernels::compile::checkpoint {

using llama::ElementType;

/// Of "F16", "BF16" and "F32"; none for other words.
std::optional<ElementType> element_type(const std::string& stored_type);

/// What memory must hold so that `count` elements can be converted in it.
std::size_t bytes_to_convert(std::int64_t count, ElementType from, ElementType to);

/// Elements of type `from` that end where `memory` ends (bytes_to_convert long) become elements of type `to`
/// that begin where it begins, each rounded to nearest even.
void convert(std::span<std::byte> memory, std::int64_t count, ElementType from, ElementType to);

/// Index of the first NaN or infinity, −1 where there is none.
std::int64_t first_not_finite(std::span<const std::byte> elements, ElementType type);

}  // namespace assay::kernels::compile::checkpoint
