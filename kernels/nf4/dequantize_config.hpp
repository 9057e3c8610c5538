// SPDX-License-Identifier: Apache-2.0
// Which shape of kernel a dequantize call gets: a pure function of sizes, so it is tested without a GPU.
#pragma once

#include <cstdint>

#include "kernels/nf4/format.hpp"

namespace assay::kernels::nf4 {

struct DequantizeConfig {
  int threads = 256;           ///< per block
  int vectors_per_thread = 4;  ///< 16-byte stores of one thread, all loads issued before the first use
  std::int64_t blocks = 0;     ///< grid size
  bool vectorized = true;      ///< false: byte by byte, for pointers that are not aligned to a vector

  bool operator==(const DequantizeConfig&) const = default;
};

/// Weights that make one 16-byte store of `out_type`: 8 or 4.
constexpr int weights_per_vector(ScalarType out_type) {
  return out_type == ScalarType::kFloat32 ? 4 : 8;
}

/// `aligned`: packed to 4 bytes (f32: 2) and out to 16. Threads and vectors are (256, 4) or (512, 2): the
/// only shapes built.
DequantizeConfig choose_dequantize_config(std::int64_t num_weights, ScalarType out_type, bool aligned);

}  // namespace assay::kernels::nf4
