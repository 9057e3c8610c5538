// SPDX-License-Identifier: Apache-2.0
// Blocks and clusters of threads on one CPU core: every thread is a stack of its own, switched at barriers
// and shuffles. Finds wrong arithmetic, wrong indices, threads that miss a barrier, and use of shared memory
// nobody wrote (it starts as NaN). Finds no race that needs two threads to run at the same time between
// barriers.
#pragma once

#include <cstddef>
#include <functional>

namespace assay::kernels::emulated {

struct Grid {
  unsigned blocks = 1, threads = 1, cluster = 1;
  std::size_t shared_bytes = 0;
};

/// Runs `kernel` once for every thread, cluster after cluster. Aborts the process with a message where
/// threads wait for each other forever, or where shared memory was written past its end.
void run(const Grid& grid, const std::function<void()>& kernel);

/// Of the running thread.
unsigned thread_index();
unsigned block_index();
unsigned block_threads();
unsigned rank_in_cluster();
unsigned cluster_blocks();
char* shared_memory();

void wait_for_block();
/// One turn for every other thread: what a loop that waits for memory to change does each time round.
void let_others_run();
/// The running thread changed what others may wait for in such a loop.
void note_progress();
/// Value of another lane of the warp; all lanes call it.
float exchange(float value, unsigned from_lane);
void arrive_at_cluster();
void wait_for_cluster();
/// The place of `mine` in the shared memory of another block of the cluster, which must still run.
const char* in_block(unsigned rank, const void* mine);

/// Vector accesses outside [begin, end), or not aligned to 16 bytes, abort.
void allow_vectors(const void* begin, const void* end);
void check_vector(const void* at);

}  // namespace assay::kernels::emulated
