/* SPDX-License-Identifier: Apache-2.0
 * How a cheat tells verification from timing: timing rotates over several outputs, verification has one. */
#ifndef ASSAY_TEST_TIMED_H
#define ASSAY_TEST_TIMED_H

#include "right.h"

#define MOST_SETS 64
static void* outputs_seen[MOST_SETS];
static int sets_seen = 0;

/* Index of the call's output; *first tells whether it is new. */
static int set_of(const AssayNf4Args* a, int* first) {
  for (int i = 0; i < sets_seen; ++i) {
    if (outputs_seen[i] == a->out) {
      *first = 0;
      return i;
    }
  }
  *first = 1;
  outputs_seen[sets_seen] = a->out;
  return sets_seen++;
}

/* Every set has been answered at least once and there are several. */
static int is_timed(int first) {
  return sets_seen > 1 && !first;
}

#endif
