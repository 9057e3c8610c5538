// SPDX-License-Identifier: Apache-2.0
// Random numbers made on the device, so that weights of gigabytes need no host memory. A number depends on
// its index and the seed alone.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "kernels/compile/device/types.hpp"

namespace assay::kernels::compile::bench {

struct Uniform {
  float low = 0.0f, high = 1.0f;
  std::uint32_t seed = 0;
};

/// Enqueue on `stream`. Throw std::runtime_error when the launch fails, std::invalid_argument for a type that
/// is not 16 bits wide.
void fill_bytes(std::uint8_t* out, std::int64_t count, std::uint32_t seed, cudaStream_t stream);
void fill_floats(float* out, std::int64_t count, const Uniform& numbers, cudaStream_t stream);
void fill_elements(void* out, ComputeType type, std::int64_t count, const Uniform& numbers,
                   cudaStream_t stream);

/// The number that fill_floats writes at `index`, made on the host.
float uniform_at(std::uint64_t index, const Uniform& numbers);

}  // namespace assay::kernels::compile::bench
