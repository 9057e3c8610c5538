// SPDX-License-Identifier: Apache-2.0
// One line that says where a long job is: rewritten in place on a terminal, one line a case elsewhere.
#pragma once

#include <chrono>
#include <string>

namespace assay::harness::cli {

class Progress {
 public:
  Progress();
  ~Progress();
  void show(const std::string& what, int done, int total);
  /// Prints a line of its own above the progress line.
  void print(const std::string& line);

 private:
  void clear();
  bool terminal_;
  bool shown_ = false;
  int last_done_ = -1;
  std::chrono::steady_clock::time_point start_;
};

}  // namespace assay::harness::cli
