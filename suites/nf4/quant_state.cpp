// SPDX-License-Identifier: Apache-2.0
// See quant_state.hpp.
#include "suites/nf4/quant_state.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>

#include "harness/core/outcome.hpp"
#include "harness/io/strict_json.hpp"

namespace assay::suites::nf4 {
namespace {

using harness::UsageError;
using kernels::nf4::ScalarType;
using nlohmann::json;

constexpr harness::JsonLimits kLimits{.max_bytes = 4096, .max_depth = 2};
constexpr std::array<std::string_view, 4> kFields{"quant_type", "blocksize", "dtype", "shape"};
constexpr std::array<std::string_view, 3> kNestedFields{"nested_blocksize", "nested_dtype", "nested_offset"};

[[noreturn]] void fail(std::string_view field, std::string_view expected, const json& found) {
  throw UsageError(fmt::format("{}: expected {}, found {}", field, expected, harness::quote(found.dump())));
}

template <std::size_t n>
bool has(const std::array<std::string_view, n>& fields, std::string_view name) {
  return std::find(fields.begin(), fields.end(), name) != fields.end();
}

void require_fields(const json& state, bool nested) {
  if (!state.is_object()) {
    fail("quant_state", "a JSON object", state);
  }
  for (const auto& [name, value] : state.items()) {
    if (!has(kFields, name) && !has(kNestedFields, name)) {
      throw UsageError(
          fmt::format("expected the fields of bitsandbytes' QuantState, found {}", harness::quote(name)));
    }
    if (!nested && has(kNestedFields, name)) {
      throw UsageError(fmt::format(
          "expected nested_absmax and nested_quant_map because there is {}, found neither", name));
    }
  }
  const auto require = [&](std::string_view name) {
    if (!state.contains(name)) {
      throw UsageError(fmt::format("expected the field {}, found none", name));
    }
  };
  std::for_each(kFields.begin(), kFields.end(), require);
  if (nested) {
    std::for_each(kNestedFields.begin(), kNestedFields.end(), require);
  }
}

std::int32_t block_size_of(const json& state, std::string_view field) {
  const json& value = state.at(std::string(field));
  const auto size = value.is_number_unsigned() ? value.get<std::uint64_t>() : 0;
  if (size < 32 || size > 4096 || !std::has_single_bit(size)) {
    fail(field, "a power of two from 32 to 4096", value);
  }
  return static_cast<std::int32_t>(size);
}

ScalarType dtype_of(const json& value) {
  if (value == "float16") {
    return ScalarType::kFloat16;
  }
  if (value == "bfloat16") {
    return ScalarType::kBfloat16;
  }
  if (value == "float32") {
    return ScalarType::kFloat32;
  }
  fail("dtype", "float16, bfloat16 or float32", value);
}

void read_shape(const json& shape, QuantState& state) {
  // 64 dimensions are torch's limit; 2^62 weights are a size every later sum and product still holds.
  constexpr std::int64_t kMaxWeights = std::int64_t{1} << 62;
  constexpr std::size_t kMaxRank = 64;
  const bool plausible = shape.is_array() && !shape.empty() && shape.size() <= kMaxRank &&
                         std::all_of(shape.begin(), shape.end(), [](const json& extent) {
                           return extent.is_number_unsigned() && extent > 0 && extent <= kMaxWeights;
                         });
  if (!plausible) {
    fail("shape", "an array of positive integers", shape);
  }
  std::int64_t count = 1;
  for (const json& extent : shape) {
    if (__builtin_mul_overflow(count, extent.get<std::int64_t>(), &count) || count > kMaxWeights) {
      fail("shape", "at most 2^62 weights", shape);
    }
  }
  state.cols = shape.back().get<std::int64_t>();
  state.rows = count / state.cols;
}

float offset_of(const json& value) {
  const double offset = value.is_number() ? value.get<double>() : std::numeric_limits<double>::infinity();
  if (std::abs(offset) > std::numeric_limits<float>::max()) {
    fail("nested_offset", "a number within float32", value);
  }
  return static_cast<float>(offset);
}

}  // namespace

QuantState parse_quant_state(std::string_view text, bool nested) {
  text = text.substr(0, text.find_last_not_of('\0') + 1);
  const json parsed = harness::parse_strict_json(text, kLimits);
  require_fields(parsed, nested);
  QuantState state;
  if (parsed.at("quant_type") != "nf4" && parsed.at("quant_type") != "fp4") {
    fail("quant_type", "nf4 or fp4", parsed.at("quant_type"));
  }
  state.quant_type = parsed.at("quant_type").get<std::string>();
  state.block_size = block_size_of(parsed, "blocksize");
  state.dtype = dtype_of(parsed.at("dtype"));
  read_shape(parsed.at("shape"), state);
  if (nested) {
    state.nested_block_size = block_size_of(parsed, "nested_blocksize");
    if (parsed.at("nested_dtype") != "float32") {
      fail("nested_dtype", "float32", parsed.at("nested_dtype"));
    }
    state.nested_offset = offset_of(parsed.at("nested_offset"));
  }
  return state;
}

}  // namespace assay::suites::nf4
