/* SPDX-License-Identifier: Apache-2.0 */
/* Prints as people do who look for a fault. */
#include <stdio.h>

#include "right.h"

int32_t assay_nf4_dequantize(const AssayNf4Args* a) {
  printf("rows %lld\n", (long long)a->rows);
  fprintf(stderr, "%4000d\n", 1);
  fflush(stdout);
  return right_dequantize(a);
}
