// SPDX-License-Identifier: Apache-2.0
// Memory bandwidth of a CPU by all of its cores: the fastest of the C library's copy, one past the caches,
// one that prefetches.
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include <algorithm>
#include <barrier>
#include <chrono>
#include <cstring>
#include <functional>
#include <thread>
#include <vector>

#include "harness/measure/ceilings.hpp"
#include "harness/measure/rotation.hpp"
#include "harness/measure/statistics.hpp"

namespace assay::harness {
namespace {

constexpr std::size_t kLine = 64;

double seconds_since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

#if defined(__SSE2__)
/// Stores that bypass the caches, so no line is read in order to be overwritten. Whole lines, aligned to 16.
void stream_copy(std::byte* to, const std::byte* from, std::size_t bytes) {
  for (std::size_t at = 0; at + kLine <= bytes; at += kLine) {
    for (std::size_t i = at; i < at + kLine; i += sizeof(__m128i)) {
      _mm_stream_si128(reinterpret_cast<__m128i*>(to + i),
                       _mm_load_si128(reinterpret_cast<const __m128i*>(from + i)));
    }
  }
  _mm_sfence();
}

/// Ordinary stores, the source asked for well ahead: where the hardware's prefetchers stop at page ends this
/// is the fastest copy (22 to 23 GB/s against 19.5 of memcpy on two cores of a Sapphire Rapids guest,
/// 2026-11).
void prefetched_copy(std::byte* to, const std::byte* from, std::size_t bytes) {
  constexpr std::size_t kAhead = 4096;
  for (std::size_t at = 0; at + kLine <= bytes; at += kLine) {
    _mm_prefetch(reinterpret_cast<const char*>(from + std::min(at + kAhead, bytes - kLine)), _MM_HINT_T0);
    for (std::size_t i = at; i < at + kLine; i += sizeof(__m128i)) {
      _mm_store_si128(reinterpret_cast<__m128i*>(to + i),
                      _mm_load_si128(reinterpret_cast<const __m128i*>(from + i)));
    }
  }
}

void stream_fill(std::byte* to, std::size_t bytes) {
  const __m128i value = _mm_set1_epi32(0x5A5A1234);
  for (std::size_t at = 0; at + kLine <= bytes; at += kLine) {
    for (std::size_t i = at; i < at + kLine; i += sizeof(__m128i)) {
      _mm_stream_si128(reinterpret_cast<__m128i*>(to + i), value);
    }
  }
  _mm_sfence();
}
#else
void stream_copy(std::byte* to, const std::byte* from, std::size_t bytes) {
  std::memcpy(to, from, bytes);
}
void prefetched_copy(std::byte* to, const std::byte* from, std::size_t bytes) {
  std::memcpy(to, from, bytes);
}
void stream_fill(std::byte* to, std::size_t bytes) {
  std::memset(to, 0x5A, bytes);
}
#endif

void random_fill(std::byte* data, std::size_t bytes, std::uint64_t seed) {
  std::uint64_t state = 0x9E3779B97F4A7C15u * (seed + 1);
  for (std::size_t at = 0; at + sizeof state <= bytes; at += sizeof state) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    std::memcpy(data + at, &state, sizeof state);
  }
}

/// A thread's part of a buffer: whole lines.
struct Part {
  std::size_t begin, bytes;
};
using PartWork = std::function<void(Part)>;

/// Seconds of the fastest of `repeats` runs of `work` on all parts at once. Threads exist before and after,
/// so only the work and two barriers are inside the time.
double best_seconds(std::size_t total_bytes, int threads, int repeats, const PartWork& work) {
  const std::size_t part = total_bytes / static_cast<std::size_t>(threads) / kLine * kLine;
  std::barrier gate(threads);
  double best = 0;
  const auto run = [&](int thread) {
    const Part mine{part * static_cast<std::size_t>(thread), part};
    for (int i = 0; i < repeats; ++i) {
      gate.arrive_and_wait();
      const auto begin = std::chrono::steady_clock::now();
      work(mine);
      gate.arrive_and_wait();
      const double seconds = seconds_since(begin);
      if (thread == 0) {
        best = i == 0 ? seconds : std::min(best, seconds);
      }
    }
  };
  std::vector<std::jthread> others;
  for (int thread = 1; thread < threads; ++thread) {
    others.emplace_back(run, thread);
  }
  run(0);
  return best;
}

std::size_t buffer_bytes(const DeviceInfo& device, int threads) {
  constexpr std::size_t kLeast = std::size_t{128} << 20, kMost = std::size_t{1} << 30;
  const std::size_t wanted = std::clamp(4 * device.l2_bytes, kLeast, kMost);
  const std::size_t lines = static_cast<std::size_t>(threads) * kLine;
  return std::max(std::min(wanted, free_bytes(device) / 8) / lines, std::size_t{1}) * lines;
}

/// Time of reading the host's clock, which is what stands on either side of a CPU sample.
double clock_overhead_us() {
  std::vector<double> samples;
  for (int i = 0; i < 100; ++i) {
    samples.push_back(1e6 * seconds_since(std::chrono::steady_clock::now()));
  }
  return median(samples);
}

/// Calling an implementation that does nothing.
double call_overhead_us() {
  constexpr int kCalls = 10000;
  const Invocation nothing = [](Stream stream) { asm volatile("" : : "r"(stream) : "memory"); };
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < kCalls; ++i) {
    nothing(nullptr);
  }
  return 1e6 * seconds_since(begin) / kCalls;
}

}  // namespace

Ceilings measure_cpu_ceilings(const DeviceInfo& device) {
  constexpr int kRepeats = 8;
  const int threads = std::max(1, device.cores);
  const std::size_t bytes = buffer_bytes(device, threads);
  const DeviceBuffer from(bytes, DeviceKind::kCpu), to(bytes, DeviceKind::kCpu);
  const auto best = [&](int repeats, const PartWork& work) {
    return best_seconds(bytes, threads, repeats, work);
  };
  // Each thread touches its own part first, so the pages lie near the core that will use them.
  best(1, [&](Part part) {
    random_fill(from.data() + part.begin, part.bytes, part.begin);
    std::memset(to.data() + part.begin, 0, part.bytes);
  });
  const auto copied_by = [&](auto copy) {
    return best(kRepeats,
                [&, copy](Part part) { copy(to.data() + part.begin, from.data() + part.begin, part.bytes); });
  };
  const double copy_seconds =
      std::min({copied_by(&std::memcpy), copied_by(stream_copy), copied_by(prefetched_copy)});
  const double library_fill =
      best(kRepeats, [&](Part part) { std::memset(to.data() + part.begin, 0x5A, part.bytes); });
  const double streamed_fill =
      best(kRepeats, [&](Part part) { stream_fill(to.data() + part.begin, part.bytes); });

  Ceilings ceilings;
  ceilings.copy_gbps = 2e-9 * static_cast<double>(bytes) / copy_seconds;
  ceilings.fill_gbps = 1e-9 * static_cast<double>(bytes) / std::min(library_fill, streamed_fill);
  ceilings.event_overhead_us = clock_overhead_us();
  ceilings.launch_us = call_overhead_us();
  return ceilings;
}

}  // namespace assay::harness
