// SPDX-License-Identifier: Apache-2.0
// One side of a pair under one time mode: does the same amount of work at every sample and says how long one
// call took.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "harness/measure/measure.hpp"

namespace assay::harness {

class Sampler {
 public:
  virtual ~Sampler() = default;
  /// Nanoseconds of one call, always positive. `round` counts pairs.
  virtual double sample_ns(std::int64_t round) = 0;
  /// What went on that a reader of the times must know.
  virtual std::vector<std::string> notes() const { return {}; }
};

struct SamplerPair {
  std::unique_ptr<Sampler> candidate, baseline;
};

/// What both sides run on. Drains its stream when it goes, also while an exception unwinds: no queued work
/// may outlive the buffers it works on.
class Stage {
 public:
  Stage(DeviceKind kind, TimeMode mode);
  ~Stage();
  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;

  DeviceKind kind() const { return kind_; }
  Stream stream() const { return stream_; }
  void synchronize() const { stream_.synchronize(); }
  /// kCold only.
  void flush() { flusher_->flush(stream_); }

 private:
  DeviceKind kind_;
  OwnedStream stream_;
  std::optional<CacheFlusher> flusher_;
};

/// The calls of both sides, one a set of the rotation, equally many.
struct Sides {
  const std::vector<Invocation>& candidate;
  const std::vector<Invocation>& baseline;
};

/// Warms both sides up (every set once) and sizes their samples. `sides` and `stage` outlive the samplers.
SamplerPair make_samplers(TimeMode mode, const Sides& sides, Stage& stage, const MeasureOptions& options);

/// CPU `graph`, and `wall` on either device: host clock around a window of the rotation. `synchronise_each`
/// adds a device synchronisation after every call, inside the time.
SamplerPair make_host_samplers(const Sides& sides, Stage& stage, double target_us, bool synchronise_each);
/// CPU `cold`: caches flushed, then one call under the host clock; both sides of a pair on the same set.
SamplerPair make_host_cold_samplers(const Sides& sides, Stage& stage);
/// CUDA `graph`: events around one launch of a graph that holds whole passes over the rotation.
SamplerPair make_graph_samplers(const Sides& sides, Stage& stage, double target_us);
/// CUDA `cold`: L2 flushed, then events around one call, both sides of a pair on the same set. The overhead
/// of the two events (`Ceilings::event_overhead_us`) is inside both sides' times, which pulls the ratio of
/// short calls toward 1.
SamplerPair make_cuda_cold_samplers(const Sides& sides, Stage& stage);
/// Calls in other processes, whatever the mode: this process's clock around a window of the rotation, from
/// the request to the answer. CUDA: whole passes, so that the process can replay one graph.
SamplerPair make_remote_samplers(const RemoteCalls& candidate, const RemoteCalls& baseline,
                                 DeviceKind device);

}  // namespace assay::harness
