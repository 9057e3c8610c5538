// SPDX-License-Identifier: Apache-2.0
// What the pointwise kernels of a Llama layer read and write: element types, and matrices by pointer and
// stride.
#pragma once

#include <cstddef>
#include <cstdint>

namespace assay::kernels::llama {

/// Of activations and weights. All arithmetic is f32; a result is rounded once, to nearest even.
enum class ElementType : std::uint8_t { kFloat16, kBfloat16, kFloat32 };

/// 2 or 4. Throws std::invalid_argument for anything else than the three.
std::size_t size_of(ElementType type);

/// A row-major matrix whose rows are contiguous. Rows of any alignment are handled; those that start at
/// multiples of 16 bytes and are a multiple of 16 bytes long at full speed.
struct InputRows {
  const void* data = nullptr;
  std::int64_t stride = 0;  ///< elements from row to row; 0: packed
};
struct OutputRows {
  void* data = nullptr;
  std::int64_t stride = 0;
};

}  // namespace assay::kernels::llama
