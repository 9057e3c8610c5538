// SPDX-License-Identifier: Apache-2.0
#include "tests/candidates/cuda/right_cuda.cuh"

extern "C" int32_t assay_nf4_dequantize(const AssayNf4Args* a) {
  const int32_t code = right_dequantize(*a, stream_of(a));
  return code != ASSAY_OK ? code : result_of(cudaStreamSynchronize(stream_of(a)));
}
