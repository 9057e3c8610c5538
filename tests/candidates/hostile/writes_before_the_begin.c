/* SPDX-License-Identifier: Apache-2.0 */
#include "right.h"

int32_t assay_nf4_dequantize(const AssayNf4Args* a) {
  ((char*)a->out)[-1] = 0;
  return right_dequantize(a);
}
