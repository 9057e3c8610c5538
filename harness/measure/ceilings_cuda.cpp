// SPDX-License-Identifier: Apache-2.0
// Bandwidth and overheads of a GPU.
#include <cuda_runtime_api.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <vector>

#include "harness/measure/ceilings.hpp"
#include "harness/measure/cuda_handles.hpp"
#include "harness/measure/probe_kernels.hpp"
#include "harness/measure/rotation.hpp"
#include "harness/measure/statistics.hpp"

namespace assay::harness {
namespace {

constexpr int kWarm = 2, kRepeats = 11, kOverheadRepeats = 100;

/// Median device time of `work` in nanoseconds.
double median_ns(Stream stream, int repeats, const std::function<void()>& work) {
  EventTimer timer(EventTimer::kLeastDelayUs);
  std::vector<double> samples;
  for (int i = 0; i < kWarm + repeats; ++i) {
    const double ns = timer.time_ns(stream, work);
    if (i >= kWarm) {
      samples.push_back(ns);
    }
  }
  return median(samples);
}

double median_launch_us(const OwnedStream& stream) {
  std::vector<double> samples;
  for (int i = 0; i < kWarm + kOverheadRepeats; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    enqueue_empty_kernel(stream);
    stream.synchronize();
    const std::chrono::duration<double, std::micro> us = std::chrono::steady_clock::now() - begin;
    if (i >= kWarm) {
      samples.push_back(us.count());
    }
  }
  return median(samples);
}

void measure_bandwidth(const OwnedStream& stream, const DeviceInfo& device, Ceilings& ceilings) {
  constexpr std::size_t kMost = std::size_t{1} << 30;
  const std::size_t bytes = std::min(kMost, free_bytes(device) / 4) / 256 * 256;
  const DeviceBuffer from(bytes, DeviceKind::kCuda), to(bytes, DeviceKind::kCuda);
  enqueue_random_fill(from.data(), RandomBits{}, bytes, stream);
  stream.synchronize();

  const auto median_of = [&](const std::function<void()>& work) { return median_ns(stream, kRepeats, work); };
  const double runtime_copy = median_of([&] {
    ASSAY_HARNESS_CUDA(cudaMemcpyAsync(to.data(), from.data(), bytes, cudaMemcpyDeviceToDevice, stream));
  });
  const double vector_copy = median_of([&] { enqueue_vector_copy(to.data(), from.data(), bytes, stream); });
  const double runtime_fill =
      median_of([&] { ASSAY_HARNESS_CUDA(cudaMemsetAsync(to.data(), 0x5A, bytes, stream)); });
  const double vector_fill = median_of([&] { enqueue_vector_fill(to.data(), 0x5A5A1234u, bytes, stream); });
  ceilings.copy_gbps = 2.0 * static_cast<double>(bytes) / std::min(runtime_copy, vector_copy);
  ceilings.fill_gbps = static_cast<double>(bytes) / std::min(runtime_fill, vector_fill);
}

}  // namespace

Ceilings measure_cuda_ceilings(const DeviceInfo& device) {
  Ceilings ceilings;
  const OwnedStream stream(DeviceKind::kCuda);
  measure_bandwidth(stream, device, ceilings);
  ceilings.event_overhead_us = median_ns(stream, kOverheadRepeats, [] {}) / 1000.0;
  ceilings.launch_us = median_launch_us(stream);
  ceilings.matmul_bf16_tflops = measure_matmul_tflops(device, MatmulType::kBfloat16);
  ceilings.matmul_f16_tflops = measure_matmul_tflops(device, MatmulType::kFloat16);
  return ceilings;
}

}  // namespace assay::harness
