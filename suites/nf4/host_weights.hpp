// SPDX-License-Identifier: Apache-2.0
// One quantized matrix in host memory, in the layout of kernels/nf4/format.hpp: what a checkpoint gives to
// the cases made of it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/nf4/format.hpp"

namespace assay::suites::nf4 {

struct HostWeights {
  std::string name;  ///< of the tensor in the checkpoint
  std::int64_t rows = 0, cols = 0;
  kernels::nf4::ScalarType dtype =
      kernels::nf4::ScalarType::kBfloat16;  ///< of the matrix before it was quantized
  kernels::nf4::Codebook codebook = kernels::nf4::Codebook::kNf4;
  std::int32_t block_size = 64;
  std::int32_t nested_block_size = 256;

  std::vector<std::uint8_t> packed;
  std::vector<float> absmax;               ///< single level, else empty
  std::vector<std::uint8_t> absmax_codes;  ///< nested, else empty; so are the next two
  std::vector<float> nested_absmax;
  std::vector<float> nested_code;
  float nested_offset = 0.0F;

  bool nested() const { return !absmax_codes.empty(); }
  /// Points into this object.
  kernels::nf4::PackedWeights view() const;
};

}  // namespace assay::suites::nf4
