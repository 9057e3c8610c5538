// SPDX-License-Identifier: Apache-2.0
// See stored_tensor.hpp. Names and widths as in the safetensors format, 0.8.
#include "harness/io/stored_tensor.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "harness/core/outcome.hpp"

namespace assay::harness {
namespace {

struct DtypeFacts {
  StoredDtype dtype;
  std::string_view name;
  int bits;
};

constexpr std::array kFacts{
    DtypeFacts{StoredDtype::kBool, "BOOL", 8},
    DtypeFacts{StoredDtype::kF4, "F4", 4},
    DtypeFacts{StoredDtype::kF6E2M3, "F6_E2M3", 6},
    DtypeFacts{StoredDtype::kF6E3M2, "F6_E3M2", 6},
    DtypeFacts{StoredDtype::kU8, "U8", 8},
    DtypeFacts{StoredDtype::kI8, "I8", 8},
    DtypeFacts{StoredDtype::kF8E5M2, "F8_E5M2", 8},
    DtypeFacts{StoredDtype::kF8E4M3, "F8_E4M3", 8},
    DtypeFacts{StoredDtype::kF8E8M0, "F8_E8M0", 8},
    DtypeFacts{StoredDtype::kF8E4M3Fnuz, "F8_E4M3FNUZ", 8},
    DtypeFacts{StoredDtype::kF8E5M2Fnuz, "F8_E5M2FNUZ", 8},
    DtypeFacts{StoredDtype::kI16, "I16", 16},
    DtypeFacts{StoredDtype::kU16, "U16", 16},
    DtypeFacts{StoredDtype::kF16, "F16", 16},
    DtypeFacts{StoredDtype::kBf16, "BF16", 16},
    DtypeFacts{StoredDtype::kI32, "I32", 32},
    DtypeFacts{StoredDtype::kU32, "U32", 32},
    DtypeFacts{StoredDtype::kF32, "F32", 32},
    DtypeFacts{StoredDtype::kC64, "C64", 64},
    DtypeFacts{StoredDtype::kF64, "F64", 64},
    DtypeFacts{StoredDtype::kI64, "I64", 64},
    DtypeFacts{StoredDtype::kU64, "U64", 64},
};

const DtypeFacts& facts_of(StoredDtype dtype) {
  return *std::find_if(kFacts.begin(), kFacts.end(), [&](const auto& f) { return f.dtype == dtype; });
}

}  // namespace

std::string_view name_of(StoredDtype dtype) {
  return facts_of(dtype).name;
}
int bits_of(StoredDtype dtype) {
  return facts_of(dtype).bits;
}

std::optional<StoredDtype> stored_dtype_from_name(std::string_view name) {
  const auto found =
      std::find_if(kFacts.begin(), kFacts.end(), [&](const auto& f) { return f.name == name; });
  return found == kFacts.end() ? std::nullopt : std::optional(found->dtype);
}

std::string known_stored_dtypes() {
  std::vector<std::string_view> names;
  for (const auto& facts : kFacts) {
    names.push_back(facts.name);
  }
  return fmt::format("{}", fmt::join(names, ", "));
}

std::string shape_text(std::span<const std::int64_t> shape) {
  constexpr std::size_t kShown = 8;
  const auto shown = shape.first(std::min(shape.size(), kShown));
  return fmt::format("[{}{}]", fmt::join(shown, ", "), shape.size() > kShown ? ", …" : "");
}

std::uint64_t stored_bytes(StoredDtype dtype, std::span<const std::int64_t> shape) {
  std::int64_t bits = bits_of(dtype);
  for (const std::int64_t extent : shape) {
    if (extent < 0) {
      throw UsageError("expected extents >= 0, found shape " + shape_text(shape));
    }
    if (__builtin_mul_overflow(bits, extent, &bits)) {
      throw UsageError(fmt::format("expected fewer than 2^63 bits, found shape {} of {}", shape_text(shape),
                                   name_of(dtype)));
    }
  }
  if (bits % 8 != 0) {
    throw UsageError(fmt::format("expected whole bytes, found shape {} of {}, which is {} bits",
                                 shape_text(shape), name_of(dtype), bits));
  }
  return static_cast<std::uint64_t>(bits) / 8;
}

std::int64_t StoredTensor::numel() const {
  std::int64_t count = 1;
  for (const std::int64_t extent : shape) {
    count *= extent;
  }
  return count;
}

}  // namespace assay::harness
