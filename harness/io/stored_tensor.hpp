// SPDX-License-Identifier: Apache-2.0
// A tensor as it lies in a file: element type, shape and the bytes of the mapping. Owns nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace assay::harness {

/// The element types of the safetensors format. Wider than harness::Dtype: a file may hold what nothing here
/// computes with.
enum class StoredDtype : std::uint8_t {
  kBool,
  kF4,
  kF6E2M3,
  kF6E3M2,
  kU8,
  kI8,
  kF8E5M2,
  kF8E4M3,
  kF8E8M0,
  kF8E4M3Fnuz,
  kF8E5M2Fnuz,
  kI16,
  kU16,
  kF16,
  kBf16,
  kI32,
  kU32,
  kF32,
  kC64,
  kF64,
  kI64,
  kU64,
};

/// The format's own spelling: "F32", "BF16", "F8_E4M3", …
std::string_view name_of(StoredDtype dtype);
std::optional<StoredDtype> stored_dtype_from_name(std::string_view name);
/// All names, comma-separated, for messages.
std::string known_stored_dtypes();
int bits_of(StoredDtype dtype);

/// Bytes of `shape` elements of `dtype`, which must end on a byte; throws UsageError for a negative extent or
/// 2^63 bits and more.
std::uint64_t stored_bytes(StoredDtype dtype, std::span<const std::int64_t> shape);
/// "[4096, 14336]", cut after eight extents.
std::string shape_text(std::span<const std::int64_t> shape);

struct StoredTensor {
  StoredDtype dtype = StoredDtype::kU8;
  std::vector<std::int64_t> shape;
  std::span<const std::byte> bytes;  ///< may start at any address: copy before reading wider elements

  std::int64_t numel() const;
};

/// By name, in order of the names.
using TensorTable = std::map<std::string, StoredTensor, std::less<>>;

}  // namespace assay::harness
