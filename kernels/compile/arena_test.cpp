// SPDX-License-Identifier: Apache-2.0
#include "kernels/compile/arena.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>
#include <stdexcept>

namespace assay::kernels::compile {
namespace {

/// No two buffers that are alive together share a byte, all are aligned and inside.
void expect_valid(const std::vector<BufferLife>& buffers, const ArenaPlan& plan, std::size_t alignment) {
  ASSERT_EQ(plan.offsets.size(), buffers.size());
  for (std::size_t i = 0; i < buffers.size(); ++i) {
    EXPECT_EQ(plan.offsets[i] % alignment, 0u);
    EXPECT_LE(plan.offsets[i] + buffers[i].bytes, plan.bytes);
    for (std::size_t j = 0; j < i; ++j) {
      const bool together = buffers[i].first <= buffers[j].last && buffers[j].first <= buffers[i].last;
      const bool apart = plan.offsets[i] + buffers[i].bytes <= plan.offsets[j] ||
                         plan.offsets[j] + buffers[j].bytes <= plan.offsets[i];
      if (together && buffers[i].bytes > 0 && buffers[j].bytes > 0) {
        ASSERT_TRUE(apart) << "buffers " << i << " and " << j;
      }
    }
  }
}

TEST(Arena, buffers_that_are_never_alive_together_share_bytes) {
  const std::vector<BufferLife> buffers{{1024, 0, 1}, {1024, 2, 3}, {512, 1, 2}};
  const ArenaPlan plan = plan_arena(buffers);
  expect_valid(buffers, plan, 256);
  EXPECT_EQ(plan.bytes, 1536u);
  EXPECT_EQ(plan.most_alive, 1536u);
  EXPECT_EQ(plan.offsets[0], plan.offsets[1]);
}

TEST(Arena, an_operation_reads_while_it_writes) {
  const std::vector<BufferLife> buffers{{256, 0, 1}, {256, 1, 2}};
  EXPECT_EQ(plan_arena(buffers).bytes, 512u);
}

TEST(Arena, small_buffers_fill_gaps_between_large_ones) {
  // The middle one dies early; what comes after it fits where it was.
  const std::vector<BufferLife> buffers{{4096, 0, 9}, {2048, 0, 3}, {1024, 0, 9}, {1024, 4, 9}, {1024, 4, 9}};
  const ArenaPlan plan = plan_arena(buffers);
  expect_valid(buffers, plan, 256);
  EXPECT_EQ(plan.bytes, plan.most_alive);
}

TEST(Arena, sizes_are_rounded_to_the_alignment_between_buffers) {
  const std::vector<BufferLife> buffers{{100, 0, 0}, {50, 0, 0}, {0, 0, 0}};
  const ArenaPlan plan = plan_arena(buffers, 64);
  expect_valid(buffers, plan, 64);
  EXPECT_EQ(plan.offsets, (std::vector<std::size_t>{0, 128, 0}));
  EXPECT_EQ(plan.bytes, 178u);
}

TEST(Arena, nothing_needs_nothing) {
  const ArenaPlan plan = plan_arena({});
  EXPECT_EQ(plan.bytes, 0u);
  EXPECT_TRUE(plan.offsets.empty());
}

TEST(Arena, nonsense_is_refused) {
  const std::vector<BufferLife> backwards{{8, 3, 2}}, fine{{8, 0, 0}};
  EXPECT_THROW(plan_arena(backwards), std::invalid_argument);
  EXPECT_THROW(plan_arena(fine, 0), std::invalid_argument);
  EXPECT_THROW(plan_arena(fine, 96), std::invalid_argument);
}

/// The best offsets that any order of first-fit placement finds: for so few buffers that is the optimum.
std::size_t smallest_of_all_orders(const std::vector<BufferLife>& buffers) {
  std::vector<std::size_t> order(buffers.size());
  std::iota(order.begin(), order.end(), 0);
  std::size_t best = SIZE_MAX;
  do {
    std::vector<std::size_t> offsets(buffers.size());
    std::size_t end = 0;
    for (std::size_t n = 0; n < order.size(); ++n) {
      const BufferLife& own = buffers[order[n]];
      for (bool moved = true; moved;) {
        moved = false;
        for (std::size_t m = 0; m < n; ++m) {
          const BufferLife& other = buffers[order[m]];
          const std::size_t at = offsets[order[m]];
          if (own.first <= other.last && other.first <= own.last && offsets[order[n]] < at + other.bytes &&
              at < offsets[order[n]] + own.bytes) {
            offsets[order[n]] = at + other.bytes;
            moved = true;
          }
        }
      }
      end = std::max(end, offsets[order[n]] + own.bytes);
    }
    best = std::min(best, end);
  } while (std::next_permutation(order.begin(), order.end()));
  return best;
}

TEST(Arena, random_plans_are_valid_and_near_the_best) {
  std::mt19937 random(1);
  std::size_t planned = 0, best = 0;
  for (int round = 0; round < 60; ++round) {
    std::vector<BufferLife> buffers(6);
    for (BufferLife& b : buffers) {
      b.bytes = 1 + random() % 40;
      b.first = static_cast<int>(random() % 8);
      b.last = b.first + static_cast<int>(random() % 5);
    }
    const ArenaPlan plan = plan_arena(buffers, 1);
    expect_valid(buffers, plan, 1);
    EXPECT_GE(plan.bytes, plan.most_alive);
    EXPECT_EQ(plan.offsets, plan_arena(buffers, 1).offsets);
    planned += plan.bytes;
    best += smallest_of_all_orders(buffers);
  }
  EXPECT_LE(static_cast<double>(planned), 1.03 * static_cast<double>(best));
}

}  // namespace
}  // namespace assay::kernels::compile
