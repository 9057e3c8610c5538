// SPDX-License-Identifier: Apache-2.0
// Sizes and short names of the element types: one table, read by all functions.
#include "harness/core/dtype.hpp"

#include <fmt/format.h>

#include <array>
#include <stdexcept>
#include <string>

namespace assay::harness {
namespace {

struct Facts {
  Dtype dtype;
  std::string_view name;
  std::size_t bytes;
  bool floating;
};

constexpr std::array kTable = {
    Facts{Dtype::kFloat64, "f64", 8, true}, Facts{Dtype::kFloat32, "f32", 4, true},
    Facts{Dtype::kFloat16, "f16", 2, true}, Facts{Dtype::kBfloat16, "bf16", 2, true},
    Facts{Dtype::kInt64, "i64", 8, false},  Facts{Dtype::kInt32, "i32", 4, false},
    Facts{Dtype::kInt8, "i8", 1, false},    Facts{Dtype::kUint8, "u8", 1, false},
};

const Facts& facts_of(Dtype dtype) {
  for (const Facts& facts : kTable) {
    if (facts.dtype == dtype) {
      return facts;
    }
  }
  throw std::invalid_argument(
      fmt::format("expected a known element type, found the value {}", static_cast<int>(dtype)));
}

}  // namespace

std::size_t size_of(Dtype dtype) {
  return facts_of(dtype).bytes;
}

std::string_view name_of(Dtype dtype) {
  return facts_of(dtype).name;
}

bool is_floating(Dtype dtype) {
  return facts_of(dtype).floating;
}

Dtype dtype_from_name(std::string_view name) {
  std::string known;
  for (const Facts& facts : kTable) {
    if (facts.name == name) {
      return facts.dtype;
    }
    known += known.empty() ? "" : ", ";
    known += facts.name;
  }
  throw std::invalid_argument(fmt::format("unknown element type '{}'; use one of {}", name, known));
}

}  // namespace assay::harness
