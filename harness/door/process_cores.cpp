// SPDX-License-Identifier: Apache-2.0
#include "harness/door/process_cores.hpp"

namespace assay::harness::door {

ProcessCores::ProcessCores(pid_t pid) : pid_(pid) {
  CPU_ZERO(&allowed_);
  known_ = ::sched_getaffinity(pid, sizeof(allowed_), &allowed_) == 0 && CPU_COUNT(&allowed_) > 0;
}

ProcessCores::~ProcessCores() {
  if (known_)
    ::sched_setaffinity(pid_, sizeof(allowed_), &allowed_);
}

void ProcessCores::allow_only(std::int64_t number) const {
  if (!known_)
    return;
  std::int64_t left = number % CPU_COUNT(&allowed_);
  for (int core = 0; core < CPU_SETSIZE; ++core) {
    if (!CPU_ISSET(core, &allowed_) || left-- > 0)
      continue;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(core, &one);
    ::sched_setaffinity(pid_, sizeof(one), &one);
    return;
  }
}

}  // namespace assay::harness::door
