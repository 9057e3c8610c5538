/* SPDX-License-Identifier: Apache-2.0 */
/* Right, with 64 MiB of its own for each call. */
#include <stdlib.h>

#include "right.h"

int32_t assay_nf4_dequantize(const AssayNf4Args* a) {
  const size_t bytes = (size_t)64 << 20;
  char* const temporary = malloc(bytes);
  if (temporary == NULL)
    return ASSAY_OUT_OF_MEMORY;
  memset(temporary, (int)a->rows, bytes);
  const int32_t code = right_dequantize(a);
  __asm__ volatile("" : : "r"(temporary) : "memory"); /* or the compiler drops what nobody reads */
  free(temporary);
  return code;
}
