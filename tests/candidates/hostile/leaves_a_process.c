/* SPDX-License-Identifier: Apache-2.0 */
/* Right, but each first call starts a process that would go on for ever. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "right.h"

int32_t assay_nf4_dequantize(const AssayNf4Args* a) {
  static int started = 0;
  if (!started++ && fork() == 0) {
    FILE* file = fopen(getenv("ASSAY_TEST_PID_FILE"), "w");
    fprintf(file, "%d\n", (int)getpid());
    fclose(file);
    for (;;) pause();
  }
  return right_dequantize(a);
}
