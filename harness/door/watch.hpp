// SPDX-License-Identifier: Apache-2.0
// Timed calls must do what verified calls did. While the process stands still before a window, every set of
// it gets other inputs of the case, and some bytes of what it must write are spoiled, every few windows all
// of one set's; after the answer the process stands still again while they are looked at. Calls that are
// skipped, answered from memory, done ahead or finished later show here (check "timed_output"). On CUDA only
// every few windows, as each look copies sets.
#pragma once

#include <cstdint>
#include <random>
#include <vector>

#include "harness/door/session.hpp"

namespace assay::harness::door {

class Watch {
 public:
  /// Makes one call on each of the session's sets, which are as many as `inputs`, and one with other inputs
  /// of the case, and keeps what they wrote as right. With a challenge of exact parity all of it is held
  /// against the oracle first; otherwise it is what a verified implementation said of these inputs. Where
  /// bits need not repeat (`deterministic` false), all that is asked is that what was spoiled is written.
  Watch(Session& session, const Row& row, const std::vector<TensorSet>& inputs, bool deterministic);

  /// As RemoteCalls::window_ns.
  double window_ns(std::int64_t first, std::int64_t count, std::int64_t round);

 private:
  struct Spot {
    std::size_t output;  ///< index of the tensor
    std::size_t begin, end;
  };
  void learn(int set, const TensorSet& inputs, const Row& row);
  void exchange_inputs(int set);
  void spoil_all(int set);
  std::vector<Spot> spoil_some(int set);
  void check_spots(int set, const std::vector<Spot>& spots);
  void check_all(int set);

  Session& session_;
  bool deterministic_;
  std::vector<TensorSet> right_;               ///< outputs by data, on the CPU
  std::vector<std::uint64_t> inputs_digests_;  ///< by data
  std::vector<std::size_t> data_;              ///< of each set
  TensorSet waiting_;                          ///< inputs that no set has now
  std::size_t waiting_data_ = 0;
  std::mt19937_64 random_;
  std::int64_t windows_ = 0;
};

}  // namespace assay::harness::door
