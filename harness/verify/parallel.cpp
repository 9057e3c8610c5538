// SPDX-License-Identifier: Apache-2.0
// Threads take the next index from a shared counter until none is left.
#include "harness/verify/parallel.hpp"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace assay::harness {

void parallel_for(std::int64_t count, const std::function<void(std::int64_t)>& work) {
  std::atomic<std::int64_t> next{0};
  std::exception_ptr first_error;
  std::mutex error_mutex;
  const auto drain = [&] {
    try {
      for (std::int64_t i = next++; i < count; i = next++) {
        work(i);
      }
    } catch (...) {
      next = count;
      const std::lock_guard lock(error_mutex);
      if (!first_error) {
        first_error = std::current_exception();
      }
    }
  };
  {
    const auto threads = std::min<std::int64_t>(std::max(1u, std::thread::hardware_concurrency()), count);
    std::vector<std::jthread> helpers;
    for (std::int64_t i = 1; i < threads; ++i) {
      helpers.emplace_back(drain);
    }
    drain();
  }
  if (first_error) {
    std::rethrow_exception(first_error);
  }
}

}  // namespace assay::harness
