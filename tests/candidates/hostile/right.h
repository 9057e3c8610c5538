/* SPDX-License-Identifier: Apache-2.0
 * The right answer, for candidates that are wrong in one way alone: right_dequantize() is the example's
 * function. */
#ifndef ASSAY_TEST_RIGHT_H
#define ASSAY_TEST_RIGHT_H

#define assay_nf4_dequantize right_dequantize
#include "docs/examples/nf4_candidate.c"
#undef assay_nf4_dequantize

#include <stddef.h>

static inline size_t weights_of(const AssayNf4Args* a) {
  return (size_t)(a->rows * a->cols);
}
static inline size_t out_bytes(const AssayNf4Args* a) {
  return weights_of(a) * (a->out_dtype == ASSAY_F32 ? 4 : 2);
}

int32_t assay_nf4_dequantize(const AssayNf4Args* a);

#endif
