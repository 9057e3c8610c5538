/* SPDX-License-Identifier: Apache-2.0 */
#include "right.h"

int32_t assay_nf4_dequantize(const AssayNf4Args* a) {
  (void)a;
  error = "not today";
  return ASSAY_ERROR;
}
