// SPDX-License-Identifier: Apache-2.0
// Right until it has seen four outputs, which only timing has; then nothing but an empty kernel.
#include "tests/candidates/cuda/right_cuda.cuh"

namespace {
__global__ void nothing_kernel() {}
}  // namespace

extern "C" int32_t assay_nf4_dequantize(const AssayNf4Args* a) {
  constexpr int kMost = 64;
  static void* seen[kMost];
  static int count = 0;
  bool first = true;
  for (int i = 0; i < count; ++i) first = first && seen[i] != a->out;
  if (first && count < kMost)
    seen[count++] = a->out;
  if (first || count < 4)
    return right_dequantize(*a, stream_of(a));
  nothing_kernel<<<1, 1, 0, stream_of(a)>>>();
  return result_of(cudaGetLastError());
}
