/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "right.h"

int32_t assay_nf4_dequantize(const AssayNf4Args* a) {
  (void)a;
  abort();
}
