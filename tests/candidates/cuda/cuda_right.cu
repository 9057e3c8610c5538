// SPDX-License-Identifier: Apache-2.0
#include "tests/candidates/cuda/right_cuda.cuh"

extern "C" int32_t assay_nf4_dequantize(const AssayNf4Args* a) {
  return right_dequantize(*a, stream_of(a));
}
