// SPDX-License-Identifier: Apache-2.0
// Delay and cache eviction, by the clock: a flushed buffer must read at the speed of memory, also after a
// kernel asked the cache to keep its lines.
#include <cuda_runtime.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <vector>

#include "harness/device/flush.hpp"

namespace assay::harness {
namespace {

double milliseconds_since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
}

/// Reads with the request to be evicted last, as a kernel that wants its weights kept in L2 would.
__global__ void read_to_keep_kernel(const uint4* data, std::size_t count, uint4* never_written) {
  unsigned seen = 0;
#if __CUDA_ARCH__ >= 800
  std::uint64_t policy;
  asm("createpolicy.fractional.L2::evict_last.b64 %0, 1.0;" : "=l"(policy));
  for (std::size_t i = blockIdx.x * blockDim.x + threadIdx.x; i < count; i += gridDim.x * blockDim.x) {
    uint4 v;
    asm volatile("ld.global.L2::cache_hint.v4.u32 {%0, %1, %2, %3}, [%4], %5;"
                 : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
                 : "l"(data + i), "l"(policy));
    seen |= v.x | v.y | v.z | v.w;
  }
#endif
  if (seen != 0) {
    *never_written = make_uint4(seen, 0, 0, 0);
  }
}

class GpuFlush : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!cuda_available()) {
      GTEST_SKIP() << cuda_unavailable_reason();
    }
    info = describe(DeviceKind::kCuda);
    stream = std::make_unique<OwnedStream>(DeviceKind::kCuda);
    // A third of L2: fits even where each half of the chip keeps a copy of its own.
    buffer = std::make_unique<DeviceBuffer>(info.l2_bytes / 3 / 256 * 256, DeviceKind::kCuda);
    fill_bytes(buffer->data(), DeviceKind::kCuda, 0, buffer->bytes());
    ASSAY_HARNESS_CUDA(cudaEventCreate(&begin));
    ASSAY_HARNESS_CUDA(cudaEventCreate(&end));
  }

  void read() { launch_read(buffer->data(), buffer->bytes(), info.multiprocessors, *stream); }
  void read_to_keep() {
    auto* words = reinterpret_cast<uint4*>(buffer->data());
    read_to_keep_kernel<<<4 * info.multiprocessors, 256, 0, *stream>>>(words, buffer->bytes() / sizeof(uint4),
                                                                       words);
    ASSAY_HARNESS_CUDA(cudaGetLastError());
  }

  /// Median time of reading the buffer after `prepare`, in microseconds.
  template <class Prepare>
  double read_us_after(Prepare prepare) {
    std::vector<double> times;
    for (int i = 0; i < 15; ++i) {
      prepare();
      ASSAY_HARNESS_CUDA(cudaEventRecord(begin, *stream));
      read();
      ASSAY_HARNESS_CUDA(cudaEventRecord(end, *stream));
      ASSAY_HARNESS_CUDA(cudaEventSynchronize(end));
      float elapsed_ms = 0;
      ASSAY_HARNESS_CUDA(cudaEventElapsedTime(&elapsed_ms, begin, end));
      times.push_back(1e3 * elapsed_ms);
    }
    std::nth_element(times.begin(), times.begin() + times.size() / 2, times.end());
    return times[times.size() / 2];
  }

  /// Reading after a larger memset of other memory: certainly not cached.
  double cold_us() {
    DeviceBuffer other(8 * info.l2_bytes, DeviceKind::kCuda);
    return read_us_after([&] {
      fill_bytes(other.data(), DeviceKind::kCuda, 0, other.bytes());
      launch_read(other.data(), other.bytes() / 256 * 256, info.multiprocessors, *stream);
    });
  }

  DeviceInfo info;
  std::unique_ptr<OwnedStream> stream;
  std::unique_ptr<DeviceBuffer> buffer;
  cudaEvent_t begin = nullptr, end = nullptr;
};

TEST_F(GpuFlush, a_flushed_buffer_reads_as_slowly_as_one_never_cached) {
  CacheFlusher flusher(DeviceKind::kCuda);
  const double warm = read_us_after([&] { read(); });
  const double cold = cold_us();
  const double flushed = read_us_after([&] {
    read();
    flusher.flush(*stream);
  });
  RecordProperty("warm_us", std::to_string(warm));
  RecordProperty("cold_us", std::to_string(cold));
  RecordProperty("flushed_us", std::to_string(flushed));
  EXPECT_GT(cold, 1.15 * warm) << "the cache does not show, so the test says nothing";
  EXPECT_GT(flushed, 0.93 * cold) << "warm " << warm << " us, cold " << cold << " us";
}

TEST_F(GpuFlush, lines_that_a_kernel_asked_to_keep_are_evicted_too) {
  CacheFlusher flusher(DeviceKind::kCuda);
  const double cold = cold_us();
  const double flushed = read_us_after([&] {
    read_to_keep();
    flusher.flush(*stream);
  });
  EXPECT_GT(flushed, 0.93 * cold) << "cold " << cold << " us";
}

TEST_F(GpuFlush, the_delay_is_as_long_as_asked_and_the_host_does_not_wait) {
  stream->synchronize();
  enqueue_delay(*stream, 1);  // loads the kernel
  stream->synchronize();
  const auto start = std::chrono::steady_clock::now();
  enqueue_delay(*stream, 20000);
  const double enqueued_ms = milliseconds_since(start);
  stream->synchronize();
  const double finished_ms = milliseconds_since(start);
  EXPECT_LT(enqueued_ms, 10);
  EXPECT_GE(finished_ms, 19.5);
  EXPECT_LT(finished_ms, 60);
}

TEST_F(GpuFlush, senseless_delays_end_at_once_and_long_ones_at_the_bound) {
  const auto start = std::chrono::steady_clock::now();
  enqueue_delay(*stream, -5);
  enqueue_delay(*stream, std::nan(""));
  stream->synchronize();
  EXPECT_LT(milliseconds_since(start), 500);
  enqueue_delay(*stream, 1e18);
  stream->synchronize();
  EXPECT_LT(milliseconds_since(start), 3000);
}

}  // namespace
}  // namespace assay::harness
