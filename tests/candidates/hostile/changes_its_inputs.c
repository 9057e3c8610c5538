/* SPDX-License-Identifier: Apache-2.0 */
#include "right.h"

int32_t assay_nf4_dequantize(const AssayNf4Args* a) {
  const int32_t code = right_dequantize(a);
  ((uint8_t*)a->packed)[0] ^= 1;
  return code;
}
