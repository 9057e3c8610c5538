// SPDX-License-Identifier: Apache-2.0
// SwiGLU (Shazeer 2020), what a Llama MLP has between its products, forward and backward:
//   y = silu(gate) · up,   silu(g) = g · σ(g),   σ(g) = 1 / (1 + e^−g)
//   dup = dy · silu(gate),   dgate = dy · up · σ · (1 + gate · (1 − σ))
// σ and 1 − σ both come from e^−|g|, so neither loses digits to cancellation and no exponential overflows.
// transformers rounds silu(gate) to the element type before it multiplies; here each result is rounded once.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "kernels/llama/element_type.hpp"

namespace assay::kernels::llama {

/// Halves of one [rows, 2 · columns] matrix are two matrices with a stride of 2 · columns. An output may be
/// an input's very rows (same pointer and stride); it may not overlap inputs otherwise.
struct SwigluForward {
  ElementType type = ElementType::kBfloat16;
  std::int64_t rows = 0, columns = 0;
  InputRows gate = {}, up = {};  ///< [rows, columns]
  OutputRows y = {};
};

struct SwigluBackward {
  ElementType type = ElementType::kBfloat16;
  std::int64_t rows = 0, columns = 0;
  InputRows gate = {}, up = {}, dy = {};
  OutputRows dgate = {}, dup = {};
  OutputRows y = {};  ///< the forward's result again, so that it need not be kept for the product behind it;
                      ///< data null: not
};

/// Enqueue one kernel on `stream` and return; no allocation, no synchronisation, capturable, deterministic.
/// rows or columns of 0: nothing. Throw std::invalid_argument for bad arguments, also for 2^31 or more blocks
/// of work (only strided matrices of more than 2^31 rows have so many), std::runtime_error when the launch
/// fails.
void swiglu(const SwigluForward& args, cudaStream_t stream);
void swiglu_backward(const SwigluBackward& args, cudaStream_t stream);

/// The same on the CPU, on up to `num_threads` threads (0: all cores).
void swiglu_cpu(const SwigluForward& args, int num_threads);
void swiglu_backward_cpu(const SwigluBackward& args, int num_threads);

}  // namespace assay::kernels::llama
