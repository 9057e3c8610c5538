// SPDX-License-Identifier: Apache-2.0
// What other processes hold in memory, from /proc. Internal to this room.
#pragma once

#include <sys/types.h>

#include <cstdint>

namespace assay::harness::door {

struct ProcessMemory {
  std::int64_t resident = 0;   ///< VmRSS
  std::int64_t peak = 0;       ///< VmHWM
  std::int64_t data = 0;       ///< VmData: what RLIMIT_DATA counts
  std::int64_t anonymous = 0;  ///< RssAnon: heap and stacks, neither files nor shared memory
};

/// Zeros for a process that is no longer there. Bytes.
ProcessMemory memory_of(pid_t pid);
/// Sum of `anonymous` over the processes of a group.
std::int64_t anonymous_bytes_of_group(pid_t group);
/// Sets VmHWM to VmRSS. False where the kernel does not allow it.
bool reset_peak(pid_t pid);

}  // namespace assay::harness::door
