/* SPDX-License-Identifier: Apache-2.0 */
/* A thread sets the last bytes right five milliseconds after the call has returned. */
#include <pthread.h>
#include <unistd.h>

#include "right.h"

static AssayNf4Args work;

static void* late(void* unused) {
  (void)unused;
  const AssayNf4Args own = work;
  usleep(5000);
  right_dequantize(&own);
  return NULL;
}

int32_t assay_nf4_dequantize(const AssayNf4Args* a) {
  pthread_t thread;
  work = *a;
  pthread_create(&thread, NULL, late, NULL);
  pthread_detach(thread);
  return ASSAY_OK;
}
