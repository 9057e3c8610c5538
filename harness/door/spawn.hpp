// SPDX-License-Identifier: Apache-2.0
// fork and exec of foreign code with its limits. Internal to this room.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

namespace assay::harness::door {

struct Spawned {
  pid_t pid = -1;                                ///< leads a process group of its own
  int requests = -1, answers = -1, errors = -1;  ///< this side's ends, close-on-exec, non-blocking
};

/// `mark`: "NAME=value", added to the environment. `data_bytes`: RLIMIT_DATA, 0 for none. No core dumps; the
/// process is killed when this one ends. Open files of this process are closed in it but for `inherited`.
/// Throws std::runtime_error; a program that cannot be executed exits with status 127.
Spawned spawn(const std::vector<std::string>& words, const std::vector<int>& inherited,
              const std::string& mark, std::int64_t data_bytes);

}  // namespace assay::harness::door
