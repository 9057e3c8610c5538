// SPDX-License-Identifier: Apache-2.0
// Cache eviction by reading, on the GPU with one kernel, on the CPU with a thread on every usable core.
#include "harness/device/flush.hpp"

#include <pthread.h>

#include <algorithm>
#include <cstring>
#include <thread>
#include <vector>

#include "harness/device/host_facts.hpp"

namespace assay::harness {
namespace {

// 32 MiB: assumed where the machine hides its caches.
constexpr std::size_t kAssumedCache = std::size_t{32} << 20;

/// Twice the last-level caches, and at least twice every core's own level-2 cache.
std::size_t host_flush_bytes() {
  const std::size_t shared = std::max(last_level_cache_bytes(), kAssumedCache);
  const std::size_t own = core_cache_bytes() * usable_cpus().size();
  return 2 * std::max(shared, own);
}

std::size_t flush_bytes(const DeviceInfo& info) {
  if (info.kind == DeviceKind::kCpu) {
    return host_flush_bytes();
  }
  const std::size_t cache = info.l2_bytes > 0 ? info.l2_bytes : kAssumedCache;
  return 2 * cache / 256 * 256;
}

void pin_to(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  // Refused inside some containers; then the kernel places the thread, which is good enough.
  static_cast<void>(pthread_setaffinity_np(pthread_self(), sizeof(set), &set));
}

void read_lines(const std::byte* data, std::size_t bytes) {
  constexpr std::size_t kLine = 64;
  std::uint64_t seen = 0;
  for (std::size_t at = 0; at + sizeof(seen) <= bytes; at += kLine) {
    std::uint64_t word;
    std::memcpy(&word, data + at, sizeof(word));
    seen |= word;
  }
  asm volatile("" : : "r"(seen));  // keeps the loads
}

/// Each core reads a part, so that every core's own cache and every shared cache is filled.
void read_on_all_cores(const std::byte* data, std::size_t bytes) {
  const std::vector<int> cpus = usable_cpus();
  const std::size_t part = (bytes / cpus.size() + 63) / 64 * 64;
  std::vector<std::jthread> threads;
  for (std::size_t i = 0; i < cpus.size(); ++i) {
    const std::size_t begin = std::min(i * part, bytes);
    const std::size_t end = std::min(begin + part, bytes);
    threads.emplace_back([=] {
      pin_to(cpus[i]);
      read_lines(data + begin, end - begin);
    });
  }
}

}  // namespace

struct CacheFlusher::State {
  explicit State(const DeviceInfo& info)
      : kind(info.kind), multiprocessors(info.multiprocessors), buffer(flush_bytes(info), info.kind) {
    fill_bytes(buffer.data(), kind, 0, buffer.bytes());
  }

  DeviceKind kind;
  int multiprocessors;
  DeviceBuffer buffer;
};

CacheFlusher::CacheFlusher(DeviceKind kind) : state_(std::make_unique<State>(describe(kind))) {}
CacheFlusher::~CacheFlusher() = default;

void CacheFlusher::flush(Stream stream) {
  const DeviceBuffer& buffer = state_->buffer;
  if (state_->kind == DeviceKind::kCpu) {
    read_on_all_cores(buffer.data(), buffer.bytes());
  } else {
    // A plain read leaves a third of the lines that a kernel asked to keep (H100, 2026-11: 17 MB read again
    // in 8.4 us, cold 9.6); a read that asks the same evicts them all, and costs 53 us in place of 41.
    launch_read(buffer.data(), buffer.bytes(), state_->multiprocessors, true, stream);
    launch_release(buffer.data(), buffer.bytes(), state_->multiprocessors, stream);
  }
}

}  // namespace assay::harness
