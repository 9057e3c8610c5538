// SPDX-License-Identifier: Apache-2.0
// Which cores the main thread of another process may use. Internal to this room.
#pragma once

#include <sched.h>
#include <sys/types.h>

#include <cstdint>

namespace assay::harness::door {

/// Restores what was allowed when it goes. A process that is no longer there is left alone.
class ProcessCores {
 public:
  explicit ProcessCores(pid_t pid);
  ~ProcessCores();
  ProcessCores(const ProcessCores&) = delete;
  ProcessCores& operator=(const ProcessCores&) = delete;

  /// The `number`-th of the allowed cores, around.
  void allow_only(std::int64_t number) const;

 private:
  pid_t pid_;
  bool known_;
  cpu_set_t allowed_;
};

}  // namespace assay::harness::door
