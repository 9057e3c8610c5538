// SPDX-License-Identifier: Apache-2.0
// Dense products through cuBLASLt: 16-bit or f32 operands, f32 accumulation, 16-bit or f32 results.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

namespace assay::kernels {

enum class MatmulType : std::uint8_t { kFloat16, kBfloat16, kFloat32 };

/// d[m, n] = alpha · op(a)·op(b) + beta · d, everything row-major; op transposes what is stored as [k, m] or
/// [n, k]. Operands share in_type; products accumulate in f32 (f32 operands: no TF32). With beta ≠ 0 and a
/// 16-bit d, cuBLASLt may round alpha · op(a)·op(b) to d's type before it adds beta · d.
struct MatmulArgs {
  const void* a = nullptr;  ///< [m, k], or [k, m] with transpose_a
  const void* b = nullptr;  ///< [k, n], or [n, k] with transpose_b
  void* d = nullptr;        ///< [m, n]
  std::int64_t m = 0, n = 0, k = 0;
  std::int64_t lda = 0, ldb = 0, ldd = 0;  ///< elements from row to row; 0: packed
  bool transpose_a = false, transpose_b = false;
  MatmulType in_type = MatmulType::kBfloat16, out_type = MatmulType::kBfloat16;
  float alpha = 1.0f, beta = 0.0f;
  void* workspace = nullptr;        ///< device, 256-byte aligned, used by this call alone until it is done
  std::size_t workspace_bytes = 0;  ///< 32 MiB lets every Hopper algorithm in
};

/// Enqueues on `stream` and returns; allocates nothing on the device, synchronises nothing, capturable. The
/// algorithm is cuBLASLt's first choice for the shape, looked up once and kept, so equal calls give equal
/// bits. m, n or k of 0: d is scaled by beta. Throws std::invalid_argument for bad arguments,
/// std::runtime_error when cuBLASLt refuses.
void matmul(const MatmulArgs& args, cudaStream_t stream);

}  // namespace assay::kernels
