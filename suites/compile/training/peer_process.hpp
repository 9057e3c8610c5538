// SPDX-License-Identifier: Apache-2.0
// A program beside this one that answers lines with lines: peers that need a process of their own.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

namespace assay::suites::compile {

/// Ends with its object, whatever it is doing. For one thread at a time.
class PeerProcess {
 public:
  /// Starts `command` without a shell, found on PATH; what it writes to standard error stays this process'.
  /// Throws std::runtime_error where it cannot be started.
  explicit PeerProcess(const std::vector<std::string>& command);
  ~PeerProcess();
  PeerProcess(const PeerProcess&) = delete;
  PeerProcess& operator=(const PeerProcess&) = delete;

  /// Writes a line. Throws std::runtime_error where the process no longer reads.
  void say(const std::string& line);
  /// The next line it writes. Throws std::runtime_error when none comes within `limit` or it ended, with its
  /// exit status; harness::Interrupted on Ctrl-C.
  std::string hear(std::chrono::seconds limit);

 private:
  [[noreturn]] void ended();

  std::string name_, heard_;
  pid_t child_ = -1;
  int in_ = -1, out_ = -1;
};

}  // namespace assay::suites::compile
