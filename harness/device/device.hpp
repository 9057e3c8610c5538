// SPDX-License-Identifier: Apache-2.0
// The machine a run happens on: facts, streams, raw memory, L2 state, clocks. No torch, no challenge.
// Everything works without a GPU and without a CUDA driver (`cuda_available()` is false then and nothing else
// is called).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "harness/core/challenge.hpp"

namespace assay::harness {

/// Throws std::runtime_error with file, line, call and CUDA's message. OutOfMemory for
/// cudaErrorMemoryAllocation.
void check_cuda(int error, const char* call, const char* file, int line);
#define ASSAY_HARNESS_CUDA(call) \
  ::assay::harness::check_cuda(static_cast<int>(call), #call, __FILE__, __LINE__)

struct DeviceInfo {
  DeviceKind kind = DeviceKind::kCpu;
  std::string name;  ///< "NVIDIA H100 80GB HBM3" or the CPU's model name
  std::string arch;  ///< "sm_90" or "x86_64/avx3"
  int sm = 0;
  int count = 1;  ///< devices of this kind present
  int multiprocessors = 0;
  std::size_t memory_bytes = 0;
  std::size_t l2_bytes = 0;  ///< CPU: last-level cache
  int cores = 1;
  std::string driver, cuda_runtime, torch;  ///< versions, empty when absent
  DeviceFacts facts() const;
};

bool cuda_available();
/// Why it is not, in words a user can act on; empty when it is.
std::string cuda_unavailable_reason();
DeviceInfo describe(DeviceKind kind);
/// Fills `DeviceInfo::torch`; called by harness/memory, which is built with torch's headers.
void set_torch_version(std::string version);

/// An owned non-blocking stream (kCuda) or a null handle (kCpu).
class OwnedStream {
 public:
  explicit OwnedStream(DeviceKind kind);
  ~OwnedStream();
  OwnedStream(const OwnedStream&) = delete;
  OwnedStream& operator=(const OwnedStream&) = delete;
  operator Stream() const { return stream_; }
  void synchronize() const;

 private:
  Stream stream_ = nullptr;
};

void synchronize_device(DeviceKind kind);

/// `release` is called when the device refuses memory, before it is asked once more: libraries that keep
/// freed memory for themselves give it back then. One at a time; the last one counts.
void release_cached_memory_with(std::function<void()> release);

/// Plain device memory, freed with the object. Alignment 256 bytes or better. Throws OutOfMemory.
class DeviceBuffer {
 public:
  DeviceBuffer(std::size_t bytes, DeviceKind kind);
  ~DeviceBuffer();
  DeviceBuffer(DeviceBuffer&&) noexcept;
  DeviceBuffer(const DeviceBuffer&) = delete;
  std::byte* data() const { return data_; }
  std::size_t bytes() const { return bytes_; }

 private:
  std::byte* data_ = nullptr;
  std::size_t bytes_ = 0;
  DeviceKind kind_;
};

void copy_bytes(void* to, DeviceKind to_kind, const void* from, DeviceKind from_kind,
                std::size_t bytes);                                                   // blocking
void fill_bytes(void* data, DeviceKind kind, std::uint8_t value, std::size_t bytes);  // blocking
/// True when all bytes equal `value` (blocking, on the device).
bool all_bytes_are(const void* data, DeviceKind kind, std::uint8_t value, std::size_t bytes);
/// Sum over 8-byte words of mix(word, index): order-sensitive, independent of the number of threads. Same
/// value for the same bytes on either device.
std::uint64_t digest_bytes(const void* data, DeviceKind kind, std::size_t bytes);

/// Evicts every line of L2 by *reading* twice its size, so that no dirty line is written back on the next
/// kernel's bill. Enqueued on `stream`, does not synchronise. CPU: reads twice the last-level cache,
/// blocking.
class CacheFlusher {
 public:
  explicit CacheFlusher(DeviceKind kind);
  ~CacheFlusher();
  void flush(Stream stream);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Holds `stream` busy for about `microseconds`, so that the host finishes queueing before the measured work
/// starts. Bounded by the device's own clock: it cannot deadlock.
void enqueue_delay(Stream stream, double microseconds);

/// SM clock and reasons for slowing down, read without privileges (NVML by dlopen; nullopt without it).
struct ClockState {
  unsigned sm_mhz = 0, memory_mhz = 0, temperature_c = 0;
  double power_w = 0;
  std::uint64_t throttle_reasons = 0;  ///< NVML clocks-event bit mask
  std::string describe() const;        ///< "1980 MHz, 45 °C, no throttling"
};
std::optional<ClockState> read_clocks();
/// Reasons that make a measurement suspect (power, thermal, hardware slowdown), in words; empty when none.
/// Idle and application-clock bits do not count.
std::string suspicious_throttle(std::uint64_t reasons);

}  // namespace assay::harness
