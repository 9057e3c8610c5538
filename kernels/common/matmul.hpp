// SPDX-License-Identifier: Apache-2.0
// Dense products through cuBLASLt: 16-bit or f32 operands, f32 accumulation, 16-bit or f32 results.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace assay::kernels {

/// Who picks the algorithm. kHeuristic: cuBLASLt's first proposal. kTimed: the fastest of its proposals for
/// the product's bucket (matmul_search.hpp), timed once a process by the first call that only writes d (beta
/// = 0) outside a stream capture. That one call writes d some forty times (twice that with `adds_follow`),
/// waits for the device and takes as long; until then, and in a capture, kTimed is kHeuristic. Calls that add
/// to d take the winner among sums where a call with `adds_follow` has timed those, else the winner among
/// products that write.
enum class MatmulChoice : std::uint8_t { kHeuristic, kTimed };

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
  MatmulChoice choice = MatmulChoice::kHeuristic;
  bool adds_follow = false;  ///< with beta = 0 and kTimed: calls with beta ≠ 0 come next, time those too
};

/// Enqueues on `stream` and returns; allocates nothing on the device, synchronises nothing (but see kTimed),
/// capturable. The algorithm is chosen once for a shape and kept, so equal calls give equal bits (with
/// kTimed: from the call on that times). m, n or k of 0: d is scaled by beta. Throws std::invalid_argument
/// for bad arguments, std::runtime_error when cuBLASLt refuses.
void matmul(const MatmulArgs& args, cudaStream_t stream);

/// What a timed choice found.
struct MatmulSearch {
  std::string product;            ///< sizes, strides, types
  int proposals = 0, winner = 0;  ///< how many, and the winner's place among them; 0: cuBLASLt's first
  double first_us = 0.0, winner_us = 0.0;  ///< medians of cuBLASLt's first proposal and of the winner
  bool kept = false;                       ///< timed by an earlier process (keep_matmul_winners)
};
/// All searches of this process so far, those of a device oldest first.
std::vector<MatmulSearch> matmul_searches();
/// The current device's winners in use, by bucket: those of this process and those kept.
std::vector<MatmulSearch> matmul_winners();

/// From now on the current device's winners are read from, and written to, a file of `folder` named after the
/// GPU and cuBLASLt's version. Winners that this process has timed already stay. A damaged line of the file
/// is searched for again; an algorithm that cannot run a product gives way to cuBLASLt's first. Throws
/// std::runtime_error where the file cannot be written.
void keep_matmul_winners(const std::filesystem::path& folder);
/// The current device as in a fresh process: no winners, no file; the log of searches stays. Measures cold
/// starts. Not while a captured graph is being made.
void forget_matmul_winners();

}  // namespace assay::kernels
