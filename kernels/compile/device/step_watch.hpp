// SPDX-License-Identifier: Apache-2.0
// Counts what a captured step must not do once it is warm, and stops it where that is asked for. Knows no
// device.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace assay::kernels::compile {

struct StepCounters {
  std::int64_t steps = 0;            ///< graphs launched
  std::int64_t compilations = 0;     ///< programs that NVRTC made
  std::int64_t programs_loaded = 0;  ///< programs found in the cache's folder
  std::int64_t searches = 0;         ///< products whose algorithm was timed
  std::int64_t captures = 0;         ///< of the list as a graph
  std::int64_t waits = 0;            ///< of the host for the device, in load() and run()
  std::vector<std::string> reasons;  ///< of every compilation, search and capture after warm-up
};

/// What has happened so far in compilers and searches: counts that only rise.
struct WorkDone {
  std::int64_t compilations = 0, programs_loaded = 0, searches = 0;
};

class StepWatch {
 public:
  explicit StepWatch(bool fail_after_warm_up) : fails_(fail_after_warm_up) {}

  /// Before the list is captured. After warm-up, and where that fails, throws std::runtime_error with the
  /// reason; otherwise counts.
  void capture(const std::string& reason);
  /// After work: adds what happened between two readings. As capture() where something did after warm-up.
  void add(const WorkDone& before, const WorkDone& after);
  void add_wait() { ++counters_.waits; }
  void add_step() { ++counters_.steps; }
  /// From now on everything but steps has a reason.
  void warmed_up() { warm_ = true; }
  bool is_warm() const { return warm_; }
  const StepCounters& counters() const { return counters_; }

 private:
  void note(const std::string& what);

  bool fails_, warm_ = false;
  StepCounters counters_;
};

}  // namespace assay::kernels::compile
