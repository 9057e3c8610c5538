// SPDX-License-Identifier: Apache-2.0
// Elements of the harness' tensors on the CPU as f64 and back.
#pragma once

#include <stdexcept>

#include "harness/core/tensor.hpp"
#include "harness/verify/ulp.hpp"

namespace assay::suites::compile {

inline double load(const harness::TensorView& view, std::int64_t i) {
  switch (view.dtype) {
    case harness::Dtype::kFloat32:
      return view.as<float>()[i];
    case harness::Dtype::kFloat16:
      return harness::decode<harness::Float16Format>(view.as<std::uint16_t>()[i]);
    case harness::Dtype::kBfloat16:
      return harness::decode<harness::Bfloat16Format>(view.as<std::uint16_t>()[i]);
    default:
      throw std::invalid_argument("compile: expected a tensor of f32, f16 or bf16, found " + view.name);
  }
}

inline void store(const harness::TensorView& view, std::int64_t i, double value) {
  switch (view.dtype) {
    case harness::Dtype::kFloat32:
      view.as<float>()[i] = static_cast<float>(value);
      return;
    case harness::Dtype::kFloat16:
      view.as<std::uint16_t>()[i] = harness::encode<harness::Float16Format>(value);
      return;
    case harness::Dtype::kBfloat16:
      view.as<std::uint16_t>()[i] = harness::encode<harness::Bfloat16Format>(value);
      return;
    default:
      throw std::invalid_argument("compile: expected a tensor of f32, f16 or bf16, found " + view.name);
  }
}

}  // namespace assay::suites::compile
