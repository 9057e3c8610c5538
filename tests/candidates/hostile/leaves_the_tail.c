/* SPDX-License-Identifier: Apache-2.0 */
#include "right.h"

int32_t assay_nf4_dequantize(const AssayNf4Args* a) {
  char last[4];
  const size_t element = out_bytes(a) / weights_of(a);
  char* const tail = (char*)a->out + out_bytes(a) - element;
  memcpy(last, tail, element);
  const int32_t code = right_dequantize(a);
  memcpy(tail, last, element);
  return code;
}
