// SPDX-License-Identifier: Apache-2.0
#include "kernels/backprop/emulated/machine.hpp"

#include <ucontext.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

namespace assay::kernels::emulated {
namespace {

constexpr unsigned kWarp = 32;
constexpr std::size_t kStackBytes = 64 << 10;
constexpr std::size_t kGuardBytes = 64;
constexpr std::size_t kSharedAlignment = 1024;

struct Barrier {
  unsigned arrived = 0;
  std::uint64_t generation = 0;
};

struct Warp {
  Barrier barrier;
  unsigned lanes = 0;
  float values[kWarp] = {};
};

struct Cluster;
struct Block {
  Cluster* cluster = nullptr;
  unsigned index = 0, rank = 0, running = 0;
  Barrier barrier;
  std::vector<Warp> warps;
  std::unique_ptr<char[]> memory;
  char* shared = nullptr;  ///< in memory, as far aligned as a kernel may ask
};
struct Cluster {
  Barrier barrier;
  std::vector<Block> blocks;
};

struct Thread {
  Block* block = nullptr;
  unsigned index = 0;
  bool done = false;
  std::uint64_t arrived_in = 0;  // generation of the cluster's barrier
  ucontext_t context{};
  std::unique_ptr<char[]> stack;
};

Thread* current = nullptr;
ucontext_t scheduler;
const Grid* grid_now = nullptr;
const std::function<void()>* kernel_now = nullptr;
std::uint64_t steps = 0;  // grows with whatever lets a thread go on
std::uintptr_t allowed_begin = 0, allowed_end = 0;

[[noreturn]] void fail(const char* what) {
  std::fprintf(stderr, "emulated kernel: %s (block %u, thread %u)\n", what,
               current != nullptr ? current->block->index : 0, current != nullptr ? current->index : 0);
  std::abort();
}

void pause() {
  swapcontext(&current->context, &scheduler);
}

void arrive(Barrier& barrier, unsigned expected) {
  ++steps;
  if (++barrier.arrived == expected) {
    barrier.arrived = 0;
    ++barrier.generation;
  }
}

void arrive_and_wait(Barrier& barrier, unsigned expected) {
  const std::uint64_t generation = barrier.generation;
  arrive(barrier, expected);
  while (barrier.generation == generation) pause();
}

void thread_main() {
  (*kernel_now)();
  current->done = true;
  --current->block->running;
  ++steps;
  pause();
}

void give_stack(Thread& thread) {
  thread.stack = std::make_unique<char[]>(kStackBytes);
  getcontext(&thread.context);
  thread.context.uc_stack.ss_sp = thread.stack.get();
  thread.context.uc_stack.ss_size = kStackBytes;
  makecontext(&thread.context, thread_main, 0);
}

std::vector<Thread> start(Cluster& cluster, const Grid& grid, unsigned first_block) {
  std::vector<Thread> threads(std::size_t{grid.cluster} * grid.threads);
  cluster.blocks.resize(grid.cluster);
  for (unsigned rank = 0; rank < grid.cluster; ++rank) {
    Block& block = cluster.blocks[rank];
    block.cluster = &cluster;
    block.index = first_block + rank;
    block.rank = rank;
    block.running = grid.threads;
    block.warps.resize(grid.threads / kWarp);
    for (Warp& warp : block.warps) warp.lanes = kWarp;
    block.memory = std::make_unique<char[]>(grid.shared_bytes + kGuardBytes + kSharedAlignment);
    const std::size_t past = reinterpret_cast<std::uintptr_t>(block.memory.get()) % kSharedAlignment;
    block.shared = block.memory.get() + kSharedAlignment - past;
    std::fill_n(block.shared, grid.shared_bytes + kGuardBytes, '\xff');
    for (unsigned i = 0; i < grid.threads; ++i) {
      Thread& thread = threads[std::size_t{rank} * grid.threads + i];
      thread.block = &block;
      thread.index = i;
      give_stack(thread);
    }
  }
  return threads;
}

/// Each thread once, until it waits or is done. False when none of them got on.
bool advance(std::vector<Thread>& threads, std::size_t begin, std::size_t end) {
  const std::uint64_t before = steps;
  for (std::size_t i = begin; i < end; ++i) {
    if (threads[i].done)
      continue;
    current = &threads[i];
    swapcontext(&scheduler, &threads[i].context);
  }
  return steps != before;
}

/// One block as far as it can, then the next: whoever relies on another block to be about as far is found
/// out.
void finish(std::vector<Thread>& threads, unsigned block_threads) {
  const auto is_done = [](const Thread& thread) { return thread.done; };
  while (!std::all_of(threads.begin(), threads.end(), is_done)) {
    bool got_on = false;
    for (std::size_t begin = 0; begin < threads.size(); begin += block_threads)
      while (advance(threads, begin, begin + block_threads)) got_on = true;
    if (!got_on)
      fail("its threads wait for each other forever");
  }
}

}  // namespace

void run(const Grid& grid, const std::function<void()>& kernel) {
  if (grid.threads % kWarp != 0 || grid.blocks % grid.cluster != 0)
    fail("expected whole warps and whole clusters");
  grid_now = &grid;
  kernel_now = &kernel;
  for (unsigned first = 0; first < grid.blocks; first += grid.cluster) {
    Cluster cluster;
    std::vector<Thread> threads = start(cluster, grid, first);
    finish(threads, grid.threads);
    for (const Block& block : cluster.blocks) {
      const char* const guard = block.shared + grid.shared_bytes;
      if (!std::all_of(guard, guard + kGuardBytes, [](char c) { return c == '\xff'; }))
        fail("shared memory was written past its end");
    }
    current = nullptr;
  }
}

unsigned thread_index() {
  return current->index;
}
unsigned block_index() {
  return current->block->index;
}
unsigned block_threads() {
  return grid_now->threads;
}
unsigned rank_in_cluster() {
  return current->block->rank;
}
unsigned cluster_blocks() {
  return grid_now->cluster;
}
char* shared_memory() {
  return current->block->shared;
}

void wait_for_block() {
  arrive_and_wait(current->block->barrier, grid_now->threads);
}

void let_others_run() {
  pause();
}
void note_progress() {
  ++steps;
}

float exchange(float value, unsigned from_lane) {
  Warp& warp = current->block->warps[current->index / kWarp];
  warp.values[current->index % kWarp] = value;
  arrive_and_wait(warp.barrier, warp.lanes);
  const float result = warp.values[from_lane % kWarp];
  arrive_and_wait(warp.barrier, warp.lanes);
  return result;
}

void arrive_at_cluster() {
  Barrier& barrier = current->block->cluster->barrier;
  current->arrived_in = barrier.generation;
  arrive(barrier, grid_now->threads * grid_now->cluster);
}

void wait_for_cluster() {
  const Barrier& barrier = current->block->cluster->barrier;
  while (barrier.generation == current->arrived_in) pause();
}

const char* in_block(unsigned rank, const void* mine) {
  const Block& block = current->block->cluster->blocks.at(rank);
  if (block.running < grid_now->threads)
    fail("it reads the shared memory of a block whose threads have begun to leave");
  return block.shared + (static_cast<const char*>(mine) - shared_memory());
}

void allow_vectors(const void* begin, const void* end) {
  allowed_begin = reinterpret_cast<std::uintptr_t>(begin);
  allowed_end = reinterpret_cast<std::uintptr_t>(end);
}

void check_vector(const void* at) {
  const auto address = reinterpret_cast<std::uintptr_t>(at);
  if (address % 16 != 0)
    fail("a vector is not aligned to 16 bytes");
  if (address < allowed_begin || address + 16 > allowed_end)
    fail("a vector lies outside the rows");
}

}  // namespace assay::kernels::emulated
