// SPDX-License-Identifier: Apache-2.0
// What people run today: Unsloth's fast_dequantize, three launches on one stream, written plainly after the
// structure of bitsandbytes' kernels (absmax through the 8-bit map, + offset by an elementwise kernel, 4-bit
// decode).
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

namespace assay::reference::nf4 {

enum class OutputType { kFloat16, kBfloat16, kFloat32 };

/// Device pointers; layout as bitsandbytes' QuantState (nested, block 256). `absmax` is scratch: f32
/// [num_blocks].
struct UnslothSequenceArgs {
  const std::uint8_t* packed = nullptr;
  const std::uint8_t* absmax_codes = nullptr;
  const float* nested_absmax = nullptr;
  const float* nested_code = nullptr;
  const float* nested_offset = nullptr;
  float* absmax = nullptr;
  void* out = nullptr;
  OutputType out_type = OutputType::kBfloat16;
  std::int64_t num_weights = 0;
  std::int32_t block_size = 64;
  bool fp4 = false;
};

/// Enqueues three kernels and returns; allocates nothing. Throws std::runtime_error when a launch fails and
/// std::invalid_argument for more weights than bitsandbytes' 32-bit count.
void unsloth_sequence(const UnslothSequenceArgs& args, cudaStream_t stream);

/// Launch 2 alone, absmax += offset: the step that Unsloth does with a torch operator, for use between real
/// bitsandbytes kernels.
void add_offset(float* absmax, const float* offset, std::int64_t count, cudaStream_t stream);

}  // namespace assay::reference::nf4
