// SPDX-License-Identifier: Apache-2.0
// The stage both sides run on, and the choice of samplers.
#include "harness/measure/sampler.hpp"

#include <cuda_runtime_api.h>

#include <stdexcept>

namespace assay::harness {

Stage::Stage(DeviceKind kind, TimeMode mode) : kind_(kind), stream_(kind) {
  if (mode == TimeMode::kCold) {
    flusher_.emplace(kind);
  }
}

Stage::~Stage() {
  if (kind_ == DeviceKind::kCuda) {
    // The error, if any, was or will be thrown by the call that caused it.
    static_cast<void>(cudaStreamSynchronize(stream_));
  }
}

SamplerPair make_samplers(TimeMode mode, const Sides& sides, Stage& stage, const MeasureOptions& options) {
  constexpr double kCudaWallTargetUs = 200.0;  // thousands of ticks of any host clock
  // Far under the scheduler's slice (3 ms), so that a sample is seldom interrupted, and under the time for
  // which a busy sibling thread slows a core down, so that both sides of a pair meet the same core. On 2
  // shared cores with load 5, same-against-same intervals were 0.2 % wide at 100 µs, 1.7 % at 300 µs and
  // useless at 1500 µs (2026-11).
  constexpr double kCpuShare = 1.0 / 30.0;
  const bool cuda = stage.kind() == DeviceKind::kCuda;
  const double cpu_target_us = kCpuShare * options.graph_target_us;
  switch (mode) {
    case TimeMode::kGraph:
      return cuda ? make_graph_samplers(sides, stage, options.graph_target_us)
                  : make_host_samplers(sides, stage, cpu_target_us, false);
    case TimeMode::kCold:
      return cuda ? make_cuda_cold_samplers(sides, stage) : make_host_cold_samplers(sides, stage);
    case TimeMode::kWall:
      return make_host_samplers(sides, stage, cuda ? kCudaWallTargetUs : cpu_target_us, true);
  }
  throw std::invalid_argument("make_samplers: expected a TimeMode of the enumeration");
}

}  // namespace assay::harness
