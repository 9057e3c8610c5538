// SPDX-License-Identifier: Apache-2.0
// RMSNorm (Zhang, Sennrich 2019, as in transformers' LlamaRMSNorm) with the residual sum before it, forward
// and backward. Of each row h of H numbers,
//   rstd = 1 / √(mean(h²) + eps),   y = w · h · rstd,   h = x, or x + residual rounded to the element type.
// With g = dy · w and n = h · rstd,
//   dh = rstd · (g − n · mean(g · n)) + dsum,   dw = Σ_rows dy · n,
// where dsum is the gradient that reaches the sum h past the norm; dx and dresidual are both dh.
//
// transformers rounds n to the element type before it multiplies by w. Here everything between the loads and
// the stores is f32 and y is rounded once, so results differ from transformers' by that rounding, towards the
// truth. The sum is rounded before it is normalized, because the rounded one is what later layers and the
// backward pass read.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "kernels/llama/element_type.hpp"

namespace assay::kernels::llama {

/// Outputs may be an input's very rows (same pointer and stride): y over x, sum over x or residual. They may
/// not overlap otherwise.
struct RmsNormForward {
  ElementType type = ElementType::kBfloat16;
  std::int64_t rows = 0, hidden = 0;  ///< hidden below 2^30
  InputRows x = {};                   ///< [rows, hidden]
  InputRows residual = {};            ///< [rows, hidden], or data null: none
  const void* weight = nullptr;       ///< [hidden] of `type`
  float eps = 1e-5f;
  OutputRows sum = {};    ///< [rows, hidden], h: with a residual, else data null
  OutputRows y = {};      ///< [rows, hidden]
  float* rstd = nullptr;  ///< [rows], for the backward pass; null: not kept
};

/// dh may be dy's or dsum's very rows, or h's.
struct RmsNormBackward {
  ElementType type = ElementType::kBfloat16;
  std::int64_t rows = 0, hidden = 0;
  InputRows h = {};              ///< [rows, hidden]: x, or `sum` of the forward pass
  const void* weight = nullptr;  ///< [hidden]
  const float* rstd = nullptr;   ///< [rows], of the forward pass
  InputRows dy = {};             ///< [rows, hidden]
  InputRows dsum = {};           ///< [rows, hidden], or data null: none
  OutputRows dh = {};            ///< [rows, hidden]
  void* dw = nullptr;            ///< [hidden] of `type`, overwritten; null: the weight is frozen
  /// With dw: rms_norm_workspace_bytes() of it, 16-byte aligned, where the tensors lie; used until the call
  /// is done.
  void* workspace = nullptr;
};

/// Scratch memory that dw takes: partial sums of a fixed number of blocks. 0 without dw.
std::int64_t rms_norm_workspace_bytes(const RmsNormBackward& args);

/// Enqueue on `stream` (one kernel; two with dw) and return; no allocation, no synchronisation, capturable,
/// deterministic: dw is summed in an order that depends on the sizes and type alone. rows = 0 does nothing
/// (dw becomes zeros). Throw std::invalid_argument for bad arguments, std::runtime_error when a launch fails.
void rms_norm(const RmsNormForward& args, cudaStream_t stream);
void rms_norm_backward(const RmsNormBackward& args, cudaStream_t stream);

/// The same on the CPU, on up to `num_threads` threads (0: all cores); same workspace, same determinism.
void rms_norm_cpu(const RmsNormForward& args, int num_threads);
void rms_norm_backward_cpu(const RmsNormBackward& args, int num_threads);

}  // namespace assay::kernels::llama
