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

  void read(bool keep = false) {
    launch_read(buffer->data(), buffer->bytes(), info.multiprocessors, keep, *stream);
  }

  /// Median time of reading the buffer after `prepare`, in microseconds.
  template <class Prepare>
  double read_us_after(Prepare prepare) {
    std::vector<double> times;
    for (int i = 0; i < 41; ++i) {
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

  /// After a read of eight times the cache: certainly not cached.
  double cold_us() {
    const DeviceBuffer other(8 * info.l2_bytes / 256 * 256, DeviceKind::kCuda);
    fill_bytes(other.data(), DeviceKind::kCuda, 0, other.bytes());
    return read_us_after(
        [&] { launch_read(other.data(), other.bytes(), info.multiprocessors, false, *stream); });
  }

  /// After a flush of what was read before, with or without the request to be kept.
  double flushed_us(bool keep) {
    CacheFlusher flusher(DeviceKind::kCuda);
    return read_us_after([&] {
      read(keep);
      flusher.flush(*stream);
    });
  }

  DeviceInfo info;
  std::unique_ptr<OwnedStream> stream;
  std::unique_ptr<DeviceBuffer> buffer;
  cudaEvent_t begin = nullptr, end = nullptr;
};

TEST_F(GpuFlush, a_flushed_buffer_reads_as_slowly_as_one_never_cached) {
  const double warm = read_us_after([&] { read(); });
  const double cold = cold_us();
  EXPECT_GT(cold, 1.2 * warm) << "the cache does not show, so the test says nothing";
  EXPECT_GT(flushed_us(false), 0.95 * cold) << "warm " << warm << " us, cold " << cold << " us";
}

TEST_F(GpuFlush, lines_that_a_kernel_asked_to_keep_are_evicted_too) {
  const double cold = cold_us();
  EXPECT_GT(flushed_us(true), 0.95 * cold) << "cold " << cold << " us";
}

TEST_F(GpuFlush, the_cache_works_as_before_after_a_flush) {
  CacheFlusher flusher(DeviceKind::kCuda);
  const double warm = read_us_after([&] { read(); });
  const double warm_after_flush = read_us_after([&] {
    flusher.flush(*stream);
    read();
  });
  EXPECT_LT(warm_after_flush, 1.15 * warm) << "the flusher's own lines hold their place";
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
