// SPDX-License-Identifier: Apache-2.0
#include "kernels/common/parallel_for.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <set>
#include <stdexcept>
#include <thread>
#include <vector>

namespace assay::kernels {
namespace {

/// How often each index of [0, count) was visited.
std::vector<int> visits(std::int64_t count, std::int64_t grain, int threads) {
  std::vector<std::atomic<int>> seen(static_cast<std::size_t>(count));
  parallel_for(count, grain, threads, [&](std::int64_t begin, std::int64_t end) {
    EXPECT_LE(end - begin, std::max<std::int64_t>(1, grain));
    for (std::int64_t i = begin; i < end; ++i) ++seen[static_cast<std::size_t>(i)];
  });
  return {seen.begin(), seen.end()};
}

TEST(ParallelFor, every_index_is_visited_once) {
  for (const std::int64_t count : {0, 1, 2, 7, 64, 1000})
    for (const std::int64_t grain : {-1, 1, 3, 64, 5000})
      for (const int threads : {0, 1, 2, 5, 300})
        EXPECT_EQ(visits(count, grain, threads), std::vector<int>(static_cast<std::size_t>(count), 1))
            << count << " " << grain << " " << threads;
}

TEST(ParallelFor, one_thread_is_the_callers) {
  const auto self = std::this_thread::get_id();
  parallel_for(100, 1, 1, [&](std::int64_t, std::int64_t) { EXPECT_EQ(std::this_thread::get_id(), self); });
}

TEST(ParallelFor, several_threads_take_part) {
  std::atomic<int> arrived{0};
  parallel_for(3, 1, 3, [&](std::int64_t, std::int64_t) {
    ++arrived;
    while (arrived < 3)  // each range waits for the others: ends only if three threads run them
      std::this_thread::yield();
  });
  EXPECT_EQ(arrived, 3);
}

TEST(ParallelFor, an_exception_reaches_the_caller_and_the_pool_survives) {
  const auto fail = [](std::int64_t begin, std::int64_t) {
    if (begin == 5)
      throw std::runtime_error("range 5");
  };
  EXPECT_THROW(parallel_for(1000, 1, 4, fail), std::runtime_error);
  EXPECT_EQ(visits(100, 1, 4), std::vector<int>(100, 1));
}

TEST(ParallelFor, nested_and_concurrent_calls_finish) {
  std::atomic<int> total{0};
  const auto outer = [&] {
    for (int round = 0; round < 50; ++round)
      parallel_for(4, 1, 4, [&](std::int64_t, std::int64_t) {
        parallel_for(8, 2, 4,
                     [&](std::int64_t begin, std::int64_t end) { total += static_cast<int>(end - begin); });
      });
  };
  std::thread first(outer), second(outer);
  first.join();
  second.join();
  EXPECT_EQ(total, 2 * 50 * 4 * 8);
}

TEST(ParallelFor, a_forked_child_can_use_it) {
  visits(100, 1, 4);  // the parent's workers exist, the child's do not
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0)
    _exit(visits(100, 1, 4) == std::vector<int>(100, 1) ? 0 : 1);
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

TEST(AvailableCores, is_what_the_affinity_mask_allows) {
  cpu_set_t before, one;
  ASSERT_EQ(sched_getaffinity(0, sizeof(before), &before), 0);
  EXPECT_EQ(available_cores(), CPU_COUNT(&before));
  int first = 0;
  while (!CPU_ISSET(first, &before)) ++first;
  CPU_ZERO(&one);
  CPU_SET(first, &one);
  ASSERT_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
  EXPECT_EQ(available_cores(), 1);
  ASSERT_EQ(sched_setaffinity(0, sizeof(before), &before), 0);
}

}  // namespace
}  // namespace assay::kernels
