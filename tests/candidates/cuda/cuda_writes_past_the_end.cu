// SPDX-License-Identifier: Apache-2.0
#include "tests/candidates/cuda/right_cuda.cuh"

extern "C" int32_t assay_nf4_dequantize(const AssayNf4Args* a) {
  const size_t bytes = static_cast<size_t>(a->rows * a->cols) * (a->out_dtype == ASSAY_F32 ? 4 : 2);
  const int32_t code = right_dequantize(*a, stream_of(a));
  return code != ASSAY_OK
             ? code
             : result_of(cudaMemsetAsync(static_cast<char*>(a->out) + bytes, 0, 1, stream_of(a)));
}
