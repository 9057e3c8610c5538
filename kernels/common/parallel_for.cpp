// SPDX-License-Identifier: Apache-2.0
// One pool a process. A call publishes a job, wakes as many workers as it wants, works along, and waits until
// every worker that joined has left. Late wakers find the job closed and go back to sleep, so a call never
// waits for a thread that the system has not scheduled yet.
#include "kernels/common/parallel_for.hpp"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>

namespace assay::kernels {
namespace {

constexpr int kMaxThreads = 256;

struct Job {
  Job(std::int64_t count, std::int64_t grain, RangeBody body) : count(count), grain(grain), body(body) {}

  void work() {
    for (;;) {
      const std::int64_t begin = next.fetch_add(grain, std::memory_order_relaxed);
      if (begin >= count)
        return;
      try {
        body(begin, std::min(begin + grain, count));
      } catch (...) {
        const std::lock_guard lock(error_mutex);
        if (error == nullptr)
          error = std::current_exception();
        next.store(count, std::memory_order_relaxed);
      }
    }
  }

  const std::int64_t count, grain;
  const RangeBody body;
  std::atomic<std::int64_t> next{0};
  std::mutex error_mutex;
  std::exception_ptr error;
};

class Pool {
 public:
  /// False when another call holds the pool.
  bool run(Job& job, int helpers) {
    if (taken_.exchange(true, std::memory_order_acquire))
      return false;
    grow_to(helpers);
    {
      const std::lock_guard lock(mutex_);
      job_ = &job;
      vacancies_ = std::min(helpers, workers_);
    }
    if (helpers == 1)
      wake_.notify_one();
    else
      wake_.notify_all();
    job.work();
    std::unique_lock lock(mutex_);
    job_ = nullptr;
    vacancies_ = 0;
    left_.wait(lock, [this] { return joined_ == 0; });
    taken_.store(false, std::memory_order_release);
    return true;
  }

 private:
  void grow_to(int helpers) {
    while (workers_ < helpers) {
      try {
        std::thread([this] { serve(); }).detach();
      } catch (const std::system_error&) {
        return;  // the system gives no more threads: the ones there are do the work
      }
      ++workers_;
    }
  }

  [[noreturn]] void serve() {
    std::unique_lock lock(mutex_);
    for (;;) {
      wake_.wait(lock, [this] { return vacancies_ > 0; });
      --vacancies_;
      ++joined_;
      Job* const job = job_;
      lock.unlock();
      job->work();
      lock.lock();
      if (--joined_ == 0)
        left_.notify_one();
    }
  }

  std::atomic<bool> taken_{false};
  int workers_ = 0;  // touched only by the call that has taken the pool
  std::mutex mutex_;
  std::condition_variable wake_, left_;
  Job* job_ = nullptr;
  int vacancies_ = 0, joined_ = 0;
};

std::atomic<Pool*> current_pool{nullptr};

/// Never destroyed: its threads sleep until the process ends, and static destructors may still call kernels.
Pool& pool() {
  static std::once_flag once;
  std::call_once(once, [] { pthread_atfork(nullptr, nullptr, [] { current_pool.store(new Pool); }); });
  Pool* existing = current_pool.load(std::memory_order_acquire);
  if (existing == nullptr) {
    auto fresh = std::make_unique<Pool>();
    if (current_pool.compare_exchange_strong(existing, fresh.get()))
      existing = fresh.release();
  }
  return *existing;
}

}  // namespace

int available_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof(set), &set) == 0)
    return std::max(1, CPU_COUNT(&set));
  return std::max(1u, std::thread::hardware_concurrency());  // more than 1024 processors
}

void parallel_for(std::int64_t count, std::int64_t grain, int num_threads, RangeBody body) {
  if (count <= 0)
    return;
  grain = std::max<std::int64_t>(1, grain);
  const std::int64_t ranges = (count - 1) / grain + 1;
  const std::int64_t wanted =
      std::min<std::int64_t>(num_threads > 0 ? num_threads : available_cores(), kMaxThreads);
  const int helpers = static_cast<int>(std::min(wanted, ranges)) - 1;
  Job job(count, grain, body);
  if (helpers < 1 || !pool().run(job, helpers))
    job.work();
  if (job.error != nullptr)
    std::rethrow_exception(job.error);
}

}  // namespace assay::kernels
