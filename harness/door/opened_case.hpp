// SPDX-License-Identifier: Apache-2.0
// A case in the process that makes its calls: the sets mapped, on CUDA with twins on the device, and every
// call bound. Internal to this room.
#pragma once

#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "harness/core/challenge.hpp"
#include "harness/core/outside.hpp"
#include "harness/device/device.hpp"
#include "harness/door/protocol.hpp"
#include "harness/door/server.hpp"
#include "harness/verify/capture.hpp"

namespace assay::harness::door {

class OpenedCase {
 public:
  /// Throws Skip, OutOfMemory, UsageError or std::runtime_error.
  OpenedCase(const Opening& opening, const Served& served);

  /// `count` calls on the sets from `first` on, around. CUDA: more than one are captured in a graph, which is
  /// kept.
  void run(std::int64_t first, std::int64_t count);
  void load(std::int64_t set);
  void store(std::int64_t set);
  /// verify() of this process's own streams and graphs.
  Outcome verify();

 private:
  struct Set {
    explicit Set(DeviceKind kind)
        : mapping(nullptr),
          host_in(DeviceKind::kCpu),
          host_out(DeviceKind::kCpu),
          device_in(kind),
          device_out(kind) {}
    std::unique_ptr<Mapping> mapping;
    TensorSet host_in, host_out;      ///< in shared memory
    TensorSet device_in, device_out;  ///< CUDA alone
  };
  std::unique_ptr<Set> map(const Opening& opening, const std::string& file) const;
  TensorSet& inputs_of(Set& set) { return on_cuda() ? set.device_in : set.host_in; }
  TensorSet& outputs_of(Set& set) { return on_cuda() ? set.device_out : set.host_out; }
  Set& set(std::int64_t index);
  bool on_cuda() const { return device_ == DeviceKind::kCuda; }
  void call_each(std::int64_t first, std::int64_t count);

  const Challenge& challenge_;
  const Case& case_;
  DeviceKind device_;
  Implementation implementation_;
  OwnedStream stream_;
  std::vector<std::unique_ptr<Set>> sets_;
  std::vector<Invocation> calls_;
  std::map<std::pair<std::int64_t, std::int64_t>, std::unique_ptr<CapturedGraph>> graphs_;
};

}  // namespace assay::harness::door
