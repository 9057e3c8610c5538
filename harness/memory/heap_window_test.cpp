// SPDX-License-Identifier: Apache-2.0
// The heap counter against known sizes: every way to allocate, threads, reallocation, what other libraries
// take.
#include "harness/memory/heap_window.hpp"

#include <gtest/gtest.h>
#include <malloc.h>

#include <barrier>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <new>
#include <stdexcept>
#include <thread>
#include <vector>

#ifdef ASSAY_TORCH
#include <c10/core/CPUAllocator.h>
#endif

namespace assay::harness {
namespace {

constexpr std::int64_t kMiB = 1 << 20;
/// Rounding of one block: to a page and the page in front of an aligned one.
constexpr std::int64_t kSlack = 2 * 4096;

/// Keeps the compiler from removing an allocation whose bytes nobody reads.
template <class T>
T* used(T* data) {
  asm volatile("" : : "r"(data) : "memory");
  return data;
}

void expect_near_above(std::int64_t found, std::int64_t expected, std::int64_t slack = kSlack) {
  EXPECT_GE(found, expected);
  EXPECT_LE(found, expected + slack);
}

struct Way {
  const char* name;
  std::function<void*(std::size_t)> take;
  std::function<void(void*)> give_back = [](void* data) { std::free(data); };
};

std::vector<Way> all_ways() {
  std::vector<Way> ways = {
      {"malloc", [](std::size_t bytes) { return std::malloc(bytes); }},
      {"calloc", [](std::size_t bytes) { return std::calloc(bytes / 16, 16); }},
      {"realloc from nothing", [](std::size_t bytes) { return std::realloc(nullptr, bytes); }},
      {"memalign", [](std::size_t bytes) { return ::memalign(256, bytes); }},
      {"aligned_alloc", [](std::size_t bytes) { return ::aligned_alloc(256, bytes); }},
      {"posix_memalign",
       [](std::size_t bytes) {
         void* data = nullptr;
         EXPECT_EQ(::posix_memalign(&data, 64, bytes), 0);
         return data;
       }},
      {"valloc", [](std::size_t bytes) { return ::valloc(bytes); }},
      {"operator new", [](std::size_t bytes) { return ::operator new(bytes); },
       [](void* data) { ::operator delete(data); }},
      {"aligned operator new",
       [](std::size_t bytes) { return ::operator new (bytes, std::align_val_t{128}); },
       [](void* data) { ::operator delete (data, std::align_val_t{128}); }},
  };
#ifdef ASSAY_TORCH
  ways.push_back({"torch's CPU allocator",
                  [](std::size_t bytes) { return c10::GetCPUAllocator()->raw_allocate(bytes); },
                  [](void* data) { c10::GetCPUAllocator()->raw_deallocate(data); }});
#endif
  return ways;
}

TEST(HeapWindow, every_way_to_allocate_is_counted_and_its_release_too) {
  for (const Way& way : all_ways()) {
    for (const std::int64_t bytes : {std::int64_t{4096}, 3 * kMiB}) {
      SCOPED_TRACE(way.name);
      way.give_back(used(way.take(4096)));  // what a library sets up at its first call
      const HeapWindow window;
      void* const data = used(way.take(static_cast<std::size_t>(bytes)));
      ASSERT_NE(data, nullptr);
      expect_near_above(window.current_bytes(), bytes);
      way.give_back(data);
      EXPECT_EQ(window.current_bytes(), 0);
      expect_near_above(window.peak_bytes(), bytes);
    }
  }
}

TEST(HeapWindow, the_peak_is_of_what_lives_together_not_the_sum) {
  const HeapWindow window;
  { const std::unique_ptr<char[]> first(used(new char[8 * kMiB])); }
  {
    const std::unique_ptr<char[]> outer(used(new char[4 * kMiB]));
    { const std::unique_ptr<char[]> inner(used(new char[6 * kMiB])); }
    { const std::unique_ptr<char[]> inner(used(new char[5 * kMiB])); }
  }
  { const std::unique_ptr<char[]> last(used(new char[9 * kMiB])); }
  expect_near_above(window.peak_bytes(), 10 * kMiB, 2 * kSlack);
  EXPECT_EQ(window.current_bytes(), 0);
}

TEST(HeapWindow, releasing_older_memory_lowers_what_is_alive_but_no_peak_goes_negative) {
  std::unique_ptr<char[]> older(used(new char[4 * kMiB]));
  const HeapWindow window;
  older.reset();
  EXPECT_LE(window.current_bytes(), -4 * kMiB);
  const std::unique_ptr<char[]> newer(used(new char[3 * kMiB]));
  EXPECT_EQ(window.peak_bytes(), 0) << "less is alive than at the opening";
}

TEST(HeapWindow, threads_are_counted_together) {
  constexpr int kThreads = 8;
  const HeapWindow window;
  {
    std::barrier all_hold(kThreads);
    std::vector<std::jthread> threads;
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([&] {
        for (int round = 0; round < 1000; ++round) {
          const std::unique_ptr<char[]> small(used(new char[100]));
        }
        const std::unique_ptr<char[]> large(used(new char[kMiB]));
        all_hold.arrive_and_wait();
      });
    }
  }
  // Beside the blocks: what a thread's start takes, and each thread's small block at the worst moment.
  expect_near_above(window.peak_bytes(), kThreads * kMiB, kThreads * 16 * 1024);
  EXPECT_LT(window.current_bytes(), 16 * 1024);
}

TEST(HeapWindow, a_growing_block_counts_once_where_it_stays_and_twice_while_it_is_copied) {
  const HeapWindow window;
  // Small blocks lie in the arena, where a neighbour forces a copy.
  void* block = used(std::malloc(40000));
  void* const neighbour = used(std::malloc(40000));
  block = used(std::realloc(block, 60000));
  expect_near_above(window.peak_bytes(), 40000 + 40000 + 60000, 3 * 64);
  expect_near_above(window.current_bytes(), 40000 + 60000, 2 * 64);
  std::free(block);
  std::free(neighbour);
  EXPECT_EQ(window.current_bytes(), 0);
}

TEST(HeapWindow, a_shrinking_block_gives_back_the_difference) {
  const HeapWindow window;
  void* block = used(std::malloc(60000));
  block = used(std::realloc(block, 10000));
  expect_near_above(window.current_bytes(), 10000, 64);
  std::free(block);
  EXPECT_EQ(window.current_bytes(), 0);
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
TEST(HeapWindow, a_mapping_of_its_own_grows_without_a_copy) {
  const HeapWindow window;
  void* block = used(std::malloc(64 * kMiB));
  block = used(std::realloc(block, 96 * kMiB));
  expect_near_above(window.peak_bytes(), 96 * kMiB);
  std::free(block);
  EXPECT_EQ(window.current_bytes(), 0);
}

TEST(HeapWindow, a_refused_reallocation_leaves_the_block_counted) {
  const HeapWindow window;
  void* const block = used(std::malloc(5000));
  // Through a pointer, or the compiler takes the block for gone.
  void* (*volatile reallocate)(void*, std::size_t) = std::realloc;
  EXPECT_EQ(reallocate(block, std::size_t{1} << 62), nullptr);
  expect_near_above(window.current_bytes(), 5000, 64);
  std::free(block);
  EXPECT_EQ(window.current_bytes(), 0);
}

TEST(HeapWindow, impossible_requests_fail_as_the_standard_says_and_count_nothing) {
  const HeapWindow window;
  void* data = nullptr;
  volatile std::size_t impossible = std::size_t{1} << 62;
  EXPECT_EQ(std::malloc(impossible), nullptr);
  EXPECT_EQ(::posix_memalign(&data, 64, impossible), ENOMEM);
  EXPECT_EQ(::posix_memalign(&data, 3, 64), EINVAL);
  EXPECT_EQ(::posix_memalign(&data, 0, 64), EINVAL);
  EXPECT_EQ(window.peak_bytes(), 0);
}
#endif

TEST(HeapWindow, what_the_c_library_takes_for_itself_is_counted) {
  const std::string text(50000, 'x');
  const HeapWindow window;
  char* const copy = used(::strdup(text.c_str()));
  expect_near_above(window.current_bytes(), 50001, 64);
  std::free(copy);
}

TEST(HeapWindow, nothing_is_counted_while_it_is_closed) {
  { const HeapWindow window; }
  const std::unique_ptr<char[]> outside(used(new char[kMiB]));
  const HeapWindow window;
  EXPECT_EQ(window.peak_bytes(), 0);
  EXPECT_EQ(window.current_bytes(), 0);
}

TEST(HeapWindow, a_second_window_is_refused_and_the_first_goes_on) {
  const HeapWindow window;
  EXPECT_THROW(HeapWindow(), std::logic_error);
  const std::unique_ptr<char[]> data(used(new char[kMiB]));
  expect_near_above(window.current_bytes(), kMiB, 2 * kSlack);
}

}  // namespace
}  // namespace assay::harness
