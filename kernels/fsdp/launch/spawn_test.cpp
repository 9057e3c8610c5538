// SPDX-License-Identifier: Apache-2.0
#include "kernels/fsdp/launch/spawn.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <stdexcept>

namespace assay::kernels::fsdp {
namespace {

using namespace std::chrono_literals;

std::vector<RankEnd> run(const std::string& script, int ranks, std::chrono::milliseconds grace = 200ms) {
  auto ends = run_ranks({"/bin/sh", "-c", script}, {.ranks = ranks, .grace = grace});
  std::sort(ends.begin(), ends.end(), [](const RankEnd& a, const RankEnd& b) { return a.rank < b.rank; });
  return ends;
}

TEST(SpawnRanks, every_rank_is_told_who_it_is) {
  const auto ends =
      run(R"(test "$LOCAL_RANK/$WORLD_SIZE/$LOCAL_WORLD_SIZE/$MASTER_ADDR" = "$RANK/4/4/127.0.0.1" &&
                           test "$MASTER_PORT" -gt 0 && exit $RANK)",
          4);
  ASSERT_EQ(ends.size(), 4u);
  for (int rank = 0; rank < 4; ++rank) {
    EXPECT_EQ(ends[static_cast<std::size_t>(rank)].rank, rank);
    EXPECT_EQ(ends[static_cast<std::size_t>(rank)].how, "exit code " + std::to_string(rank));
    EXPECT_EQ(ends[static_cast<std::size_t>(rank)].ok, rank == 0);
  }
}

TEST(SpawnRanks, the_others_are_stopped_when_one_failed_and_who_failed_first_is_known) {
  const auto begin = std::chrono::steady_clock::now();
  const auto ends = run("test $RANK = 1 && kill -9 $$; exec sleep 60", 3);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 5s);
  EXPECT_EQ(ends[1].how, "signal 9 (Killed)");
  EXPECT_FALSE(ends[1].stopped);
  EXPECT_TRUE(ends[0].stopped);
  EXPECT_TRUE(ends[2].stopped);
}

TEST(SpawnRanks, one_that_ignores_sigterm_is_killed) {
  const auto ends = run("trap '' TERM; test $RANK = 0 && exit 3; while :; do sleep 0.1; done", 2, 100ms);
  EXPECT_EQ(ends[0].how, "exit code 3");
  EXPECT_EQ(ends[1].how, "signal 9 (Killed)");
  EXPECT_TRUE(ends[1].stopped);
}

TEST(SpawnRanks, the_others_may_end_by_themselves_within_the_grace) {
  const auto ends = run("test $RANK = 0 && exit 3; sleep 0.2; exit 4", 2, 10000ms);
  EXPECT_EQ(ends[1].how, "exit code 4");
  EXPECT_FALSE(ends[1].stopped);
}

TEST(SpawnRanks, a_program_that_is_not_there_and_no_ranks_are_errors) {
  EXPECT_EQ(run_ranks({"/nonexistent/program"}, {.ranks = 1}).at(0).how, "exit code 127");
  EXPECT_THROW(run_ranks({"/bin/true"}, {.ranks = 0}), std::invalid_argument);
  EXPECT_THROW(run_ranks({}, {.ranks = 1}), std::invalid_argument);
}

}  // namespace
}  // namespace assay::kernels::fsdp
