/* SPDX-License-Identifier: Apache-2.0 */
#include "right.h"

int32_t assay_nf4_dequantize(const AssayNf4Args* a) {
  for (volatile int i = 0;; i = i + 1) {
  }
  return right_dequantize(a);
}
