// SPDX-License-Identifier: Apache-2.0
// Other processes and what they hold in memory, from /proc. Internal to this room.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

namespace assay::harness::door {

struct ProcessMemory {
  std::int64_t resident = 0;   ///< VmRSS
  std::int64_t peak = 0;       ///< VmHWM
  std::int64_t data = 0;       ///< VmData: what RLIMIT_DATA counts
  std::int64_t anonymous = 0;  ///< RssAnon: heap and stacks
  std::int64_t shared = 0;     ///< RssShmem
};

/// Zeros for a process that is no longer there. Bytes.
ProcessMemory memory_of(pid_t pid);
/// Of the processes of a group: `anonymous`, and `shared` beyond `known_shared` in each.
std::int64_t bytes_of_group(pid_t group, std::int64_t known_shared);
/// The same of one process.
std::int64_t bytes_of(const ProcessMemory& memory, std::int64_t known_shared);
/// Processes whose environment, as they were started with, has the line `entry` ("NAME=value").
std::vector<pid_t> processes_with(const std::string& entry);
/// Sets VmHWM to VmRSS. False where the kernel does not allow it.
bool reset_peak(pid_t pid);

}  // namespace assay::harness::door
