/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>

#include "right.h"

int32_t assay_nf4_dequantize(const AssayNf4Args* a) {
  raise(SIGSTOP);
  return right_dequantize(a);
}
