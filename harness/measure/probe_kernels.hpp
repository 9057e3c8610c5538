// SPDX-License-Identifier: Apache-2.0
// Launchers of the kernels that probe a GPU: what measure_ceilings and measure_noise run. Plain pointers and
// sizes; each enqueues one launch on `stream` and throws when the launch fails.
#pragma once

#include <cstddef>
#include <cstdint>

#include "harness/core/challenge.hpp"

namespace assay::harness {

/// 16-byte loads and stores, both with the streaming cache hint. Pointers aligned to 16; `bytes` a multiple
/// of 16.
void enqueue_vector_copy(void* to, const void* from, std::size_t bytes, Stream stream);
/// 16-byte stores. Same conditions.
void enqueue_vector_fill(void* to, std::uint32_t word, std::size_t bytes, Stream stream);
void enqueue_empty_kernel(Stream stream);

/// Every 32-bit word becomes (random & keep) | set: all bits random with keep = ~0 and set = 0; with other
/// masks, random sign, mantissa and low exponent bits of two 16-bit floats. Same conditions.
struct RandomBits {
  std::uint32_t keep = ~std::uint32_t{0}, set = 0;
  std::uint32_t seed = 1;
};
/// ±[2^-3, 2): finite, of mixed magnitude. Constant or zero data would draw less power and run at higher
/// clocks.
inline constexpr RandomBits kRandomBf16{0x81FF81FFu, 0x3E003E00u, 1};
inline constexpr RandomBits kRandomF16{0x8FFF8FFFu, 0x30003000u, 1};
void enqueue_random_fill(void* to, RandomBits bits, std::size_t bytes, Stream stream);

}  // namespace assay::harness
