/* SPDX-License-Identifier: Apache-2.0 */
#include <assay_candidate.h>

int32_t assay_candidate_abi_version(void) {
  return ASSAY_CANDIDATE_ABI_VERSION;
}
