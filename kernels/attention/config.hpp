// SPDX-License-Identifier: Apache-2.0
// Which tiles a kernel uses where: pure functions.
#pragma once

#include <cstdint>
#include <string>

namespace assay::kernels::attention {

enum class ElementType : std::uint8_t { kFloat16, kBfloat16 };

/// 32, 64, 96 or 128 elements a head.
struct HeadType {
  int head_size = 128;
  ElementType type = ElementType::kBfloat16;
};

/// Code for GPUs of compute capability sm (times ten): machine code, or PTX that a driver compiles for a
/// later GPU.
struct Target {
  int sm = 90;
  bool ptx = false;
};
/// "sm_90a", "compute_75": what NVRTC calls it.
std::string name_of(const Target& target);

/// Rows of queries and keys a block of threads has in shared memory at a time, and how they are shared out.
struct Tiling {
  int tile_q = 0, tile_k = 0, warps = 0;
  int stages = 1;
  int blocks_per_multiprocessor = 1;
  /// sm_90a: tiles by the copy engine, products of warpgroups, for head sizes 64 and 128. Stages hold 128
  /// keys forward, 64 queries or keys backward. Both backward kernels or none.
  bool hopper = false;
  bool turns = false;  ///< hopper: the two working warpgroups take turns on the tensor cores
};

struct Tilings {
  Tiling forward, backward_keys, backward_queries;
};

/// Throws std::invalid_argument for head sizes and types that the target cannot do. `learnable`: gradients of
/// buffers are asked for, which warpgroups do not sum.
Tilings choose_tilings(const HeadType& head, const Target& target, bool learnable = false);

/// Shared memory that a block of threads of each kernel asks for.
int forward_shared_bytes(const Tiling& tiling, int head_size);
int backward_keys_shared_bytes(const Tiling& tiling, int head_size);
int backward_queries_shared_bytes(const Tiling& tiling, int head_size);

/// What one block of threads may have.
int shared_bytes_limit(int sm);

/// Throws std::invalid_argument saying which tiling breaks which rule.
void validate(const Tilings& tilings, const HeadType& head, const Target& target, bool learnable = false);

}  // namespace assay::kernels::attention
