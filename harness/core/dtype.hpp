// SPDX-License-Identifier: Apache-2.0
// Element types the harness can hold, compare and print.
#pragma once

#include <cstddef>
#include <string_view>

namespace assay::harness {

enum class Dtype { kFloat64, kFloat32, kFloat16, kBfloat16, kInt64, kInt32, kInt8, kUint8 };

std::size_t size_of(Dtype dtype);
/// Short name as used in case names: "f64", "f32", "f16", "bf16", "i64", "i32", "i8", "u8".
std::string_view name_of(Dtype dtype);
/// Inverse of `name_of`; throws std::invalid_argument naming the known types.
Dtype dtype_from_name(std::string_view name);
bool is_floating(Dtype dtype);

}  // namespace assay::harness
