// SPDX-License-Identifier: Apache-2.0
// Launchers of selftest/scale on the GPU. The fault is an argument, so that right and wrong kernels differ in
// nothing else.
#pragma once

#include <cuda_runtime_api.h>

#include <functional>
#include <memory>

#include "harness/device/device.hpp"
#include "harness/selftest/scale.hpp"

namespace assay::harness::selftest {

enum class Fault {
  kNone,
  kNanInOneElement,
  kOneWrongTile,
  kTailNotWritten,
  kInputMutated,
  kWritePastEnd,
  kWriteBeforeBegin,
  kAllZeros,
  kSwappedOutputs,
  kRoundedTowardZero,
  kLastBitVaries,  ///< needs `calls`: every other execution has another last bit
  kRightAtFirst,   ///< needs `calls`: wrong from the 9th execution on, host calls and graph replays alike
};

/// Enqueues the kernel for elements [begin, end). `calls`: device counter of executions, or null.
void launch_scale(const ScaleViews& views, std::int64_t begin, std::int64_t end, Fault fault, unsigned* calls,
                  cudaStream_t stream);
inline void launch_scale(const ScaleViews& views, Fault fault, cudaStream_t stream,
                         unsigned* calls = nullptr) {
  launch_scale(views, 0, views.count(), fault, calls, stream);
}
/// A fault that depends on how often it was executed, graph replays included: the counter lies on the device.
struct CountedFault {
  explicit CountedFault(Fault which);
  void operator()(const ScaleViews& views, cudaStream_t stream) const;

  Fault fault;
  std::shared_ptr<DeviceBuffer> calls;
};
/// A launch that CUDA refuses (4096 threads a block) and nobody looks at.
void launch_unchecked_failure(cudaStream_t stream);

/// Sets `prepare` to calls of `enqueue(views, stream)`; `make_enqueue` is called at each prepare, for state
/// of its own.
using Enqueue = std::function<void(const ScaleViews&, cudaStream_t)>;
Implementation with_enqueue(Implementation implementation, std::function<Enqueue()> make_enqueue);

}  // namespace assay::harness::selftest
