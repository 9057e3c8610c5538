// SPDX-License-Identifier: Apache-2.0
// A process of its own for foreign code: lines in, lines out, and an end by this side's decision. It is
// started by exec, so nothing of this process (CUDA's context, open files, the judge's memory) is in it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "harness/core/outcome.hpp"

namespace assay::harness::door {

struct Limits {
  double answer_s = 60;  ///< wall clock, one answer
  double start_s = 120;  ///< wall clock, the first answer: an interpreter may have to import much
  std::int64_t memory_bytes = std::int64_t{4} << 30;  ///< of the whole process group, beyond shared memory
};

/// Why there is no answer, as the outcome of the row.
struct Ended : std::exception {
  explicit Ended(Outcome how) : outcome(std::move(how)), text(outcome_reason(outcome)) {}
  const char* what() const noexcept override { return text.c_str(); }
  Outcome outcome;
  std::string text;
};

/// A process group that dies with this object, whatever it is doing, and with it what it started and sent
/// away. Its stdin and stdout carry lines, its stderr is kept for messages. Not for use from several threads.
class Process {
 public:
  struct Command {
    std::vector<std::string> words;  ///< program (an absolute path) and arguments
    std::vector<int> inherited_fds;  ///< open in the new process under the same numbers
    std::size_t shared_bytes = 0;    ///< of the files among them, which count for nobody
    bool data_limit = true;          ///< RLIMIT_DATA too; not where CUDA maps memory
  };
  Process(const Command& command, const Limits& limits);
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  /// Sends one line and waits for one. Throws Ended: timed_out, out_of_memory, or failed with what the
  /// process did instead (signal, exit status, too long a line) and the last words of its stderr; Interrupted
  /// on Ctrl-C.
  std::string exchange(const std::string& line, double limit_s);

  /// What is loaded is loaded: from now on RLIMIT_DATA allows little more than the memory limit on top.
  void limit_growth();

  /// No thread of the process runs until the next exchange. Throws Ended.
  void freeze();
  void thaw();
  bool frozen() const { return frozen_; }

  pid_t id() const { return pid_; }
  /// The last words it wrote to stderr.
  const std::string& complaints() const { return complaints_; }

 private:
  void send_some(std::string& left);
  void read_answers();
  void read_complaints();
  void watch_memory();
  bool reap(int& status);
  /// Throws Ended if the process is no longer there.
  void throw_if_dead();
  void kill_all() const;
  [[noreturn]] void end_with(Outcome outcome);
  std::string last_words() const;

  Limits limits_;
  bool data_limit_;
  pid_t pid_ = -1;
  bool reaped_ = false, frozen_ = false, answers_closed_ = false;
  int requests_ = -1, answers_ = -1, errors_ = -1;
  int ticks_ = 0;
  std::int64_t seen_bytes_ = 0;
  std::int64_t shared_bytes_ = 0;
  std::string mark_;  ///< in the environment of everything it starts
  std::string received_, complaints_;
};

}  // namespace assay::harness::door
