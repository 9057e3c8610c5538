// SPDX-License-Identifier: Apache-2.0
// Right implementations on the GPU. Each does something legitimate that a careless check would reject.
#include <chrono>
#include <memory>
#include <thread>

#include "harness/selftest/scale_cuda.hpp"

namespace assay::harness::selftest {
namespace {

constexpr DeviceKind kCuda = DeviceKind::kCuda;

struct Event {
  Event() { ASSAY_HARNESS_CUDA(cudaEventCreateWithFlags(&handle, cudaEventDisableTiming)); }
  ~Event() { static_cast<void>(cudaEventDestroy(handle)); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  cudaEvent_t handle = nullptr;
};

void wait_for(cudaStream_t waiting, cudaStream_t awaited, const Event& event) {
  ASSAY_HARNESS_CUDA(cudaEventRecord(event.handle, awaited));
  ASSAY_HARNESS_CUDA(cudaStreamWaitEvent(waiting, event.handle, 0));
}

/// Half of the work on a stream of its own, forked from the given one and joined to it.
struct Forked {
  std::shared_ptr<OwnedStream> side = std::make_shared<OwnedStream>(kCuda);
  std::shared_ptr<Event> fork = std::make_shared<Event>(), join = std::make_shared<Event>();
  void operator()(const ScaleViews& v, cudaStream_t stream) const {
    const std::int64_t half = v.count() / 2;
    wait_for(*side, stream, *fork);
    launch_scale(v, half, v.count(), Fault::kNone, nullptr, *side);
    launch_scale(v, 0, half, Fault::kNone, nullptr, stream);
    wait_for(stream, *side, *join);
  }
};

/// More launches than a stream's queue holds, so the host has to wait though nothing synchronises.
void many_launches(const ScaleViews& v, cudaStream_t stream) {
  constexpr std::int64_t kLaunches = 1500;
  for (std::int64_t i = 0; i < kLaunches; ++i) {
    launch_scale(v, i * v.count() / kLaunches, (i + 1) * v.count() / kLaunches, Fault::kNone, nullptr,
                 stream);
  }
}

void slow_host(const ScaleViews& v, cudaStream_t stream) {
  std::this_thread::sleep_for(std::chrono::milliseconds(10));
  launch_scale(v, Fault::kNone, stream);
}

void waits(const ScaleViews& v, cudaStream_t stream) {
  launch_scale(v, Fault::kNone, stream);
  ASSAY_HARNESS_CUDA(cudaStreamSynchronize(stream));
}

void written_twice(const ScaleViews& v, cudaStream_t stream) {
  ASSAY_HARNESS_CUDA(cudaMemsetAsync(v.up.data, 0x7F, v.up.bytes(), stream));
  launch_scale(v, Fault::kNone, stream);
}

void once(const ScaleViews& v, cudaStream_t stream) {
  launch_scale(v, Fault::kNone, stream);
}

Implementation plain(const char* name, const char* about, void (*enqueue)(const ScaleViews&, cudaStream_t)) {
  return with_enqueue(right_one(name, kCuda, about), [enqueue]() -> Enqueue { return enqueue; });
}

}  // namespace

std::vector<Implementation> scale_cuda() {
  Implementation baseline = plain("baseline_cuda", "one launch", once);
  baseline.role = Role::kBaseline;
  Implementation waiting = plain("waits_cuda", "synchronises and says so", waits);
  waiting.synchronises = true;
  Implementation varying = with_enqueue(right_one("varying_cuda", kCuda, "declared not deterministic"),
                                        []() -> Enqueue { return CountedFault(Fault::kLastBitVaries); });
  varying.deterministic = false;
  return {std::move(baseline),
          plain("once_cuda", "one launch", once),
          with_enqueue(right_one("forked_cuda", kCuda, "half on a side stream, joined"),
                       []() -> Enqueue { return Forked{}; }),
          plain("many_launches_cuda", "fills the launch queue", many_launches),
          plain("slow_host_cuda", "the host takes 10 ms to enqueue", slow_host),
          plain("written_twice_cuda", "writes garbage first, then the answer", written_twice),
          std::move(waiting),
          std::move(varying)};
}

}  // namespace assay::harness::selftest
