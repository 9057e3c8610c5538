// SPDX-License-Identifier: Apache-2.0
// One implementation at work on one case in a process of its own. The process only ever makes calls; inputs,
// truth and clock stay here, so that whatever it does to its own memory changes no verdict. Every member
// throws RowEnded (core/outside.hpp) when the process does not do as asked.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "harness/core/challenge.hpp"
#include "harness/core/outside.hpp"
#include "harness/door/process.hpp"
#include "harness/door/protocol.hpp"
#include "harness/door/shared_set.hpp"

namespace assay::harness::door {

/// What is judged and how its process is started.
struct Target {
  std::string name;                ///< the implementation's
  std::vector<std::string> words;  ///< program and arguments
  bool ours = true;                ///< this program serves it, and knows op "verify"
};

struct Row {
  const Challenge& challenge;
  const Case& which;
  DeviceKind device;
};

class Session {
 public:
  /// Starts the process on `sets` sets of those specs.
  Session(const Target& target, const Row& row, const Specs& specs, int sets, const Limits& limits);

  /// Copies the sets there, inputs, outputs and zones as they are, makes one call, and copies them back while
  /// the process stands still. CUDA: `stream`'s work before it is waited for. The first call is looked at a
  /// second time a moment later: nothing may have been written after it returned (check "late_write").
  void call(int set, const TensorSet& inputs, const TensorSet& outputs, Stream stream);
  /// One request; the process goes on running.
  void run(std::int64_t first, std::int64_t count);
  /// Nanoseconds from the moment that a standing process may run again, request in hand, to its answer.
  double window_ns(std::int64_t first, std::int64_t count);
  /// The checks that need the process's own streams and graphs, made there by this program's code. CUDA.
  void verify();
  /// Peak of one call on set 0, which every set has seen before.
  Memory memory();

  /// Host memory of set k to where calls see it, and back; nothing to do on the CPU.
  void load(int set);
  void store(int set);
  void freeze();
  /// Lets it answer an empty request on the core of that number, counted round among those it may use, and
  /// stand still. When it runs again it may leave.
  void move_to_core(std::int64_t number);
  [[noreturn]] void reject(const char* check, const std::string& reason) const;

  SharedSet& set(int k) { return sets_[static_cast<std::size_t>(k)]; }
  int count() const { return static_cast<int>(sets_.size()); }
  DeviceKind device() const { return device_; }

 private:
  void ask(Request request, double limit_s);
  Opening opening_on(const Row& row, const Specs& specs) const;
  void look_again(int set);

  Target target_;
  DeviceKind device_;
  Limits limits_;
  std::vector<SharedSet> sets_;
  std::unique_ptr<Process> process_;
  std::int64_t anonymous_at_start_ = 0;
  bool looked_again_ = false;
};

}  // namespace assay::harness::door
