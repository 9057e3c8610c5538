/* SPDX-License-Identifier: Apache-2.0 */
/* The same in a child, whose memory is counted too. */
#include <stdlib.h>
#include <unistd.h>

#include "right.h"

int32_t assay_nf4_dequantize(const AssayNf4Args* a) {
  if (fork() == 0) {
    for (int i = 0; i < 600; ++i) memset(malloc(1 << 20), 1, 1 << 20);
    for (;;) pause();
  }
  for (;;) usleep(1000);
  return right_dequantize(a);
}
