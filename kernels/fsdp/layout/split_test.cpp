// SPDX-License-Identifier: Apache-2.0
#include "kernels/fsdp/layout/split.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <stdexcept>

namespace assay::kernels::fsdp {
namespace {

TEST(Split, every_item_has_one_owner_for_any_world_and_odd_counts) {
  for (int world = 1; world <= 8; ++world)
    for (const std::int64_t count : {0, 1, 2, 3, 7, 8, 9, 64, 101, 1000})
      for (const std::int64_t multiple : {1, 4, 16}) {
        const Split split(count, world, multiple);
        std::int64_t owned = 0;
        for (int rank = 0; rank < world; ++rank) {
          EXPECT_EQ(split.first(rank), std::min(owned, count));
          for (std::int64_t item = split.first(rank); item < split.first(rank) + split.size(rank); ++item) {
            ASSERT_EQ(split.owner(item), rank);
            ASSERT_EQ(split.local(item), item - split.first(rank));
          }
          owned += split.size(rank);
        }
        EXPECT_EQ(owned, count);
        EXPECT_EQ(split.chunk() % multiple, 0);
        EXPECT_LT(split.chunk() * world, count + world * multiple + 1);
      }
}

TEST(Split, the_last_ranks_may_own_nothing) {
  const Split split(5, 4);
  EXPECT_EQ(split.chunk(), 2);
  EXPECT_EQ(split.size(2), 1);
  EXPECT_EQ(split.size(3), 0);
  EXPECT_EQ(split.padded(), 8);
}

TEST(Split, a_vocabulary_of_128256_rows_over_eight_ranks_is_even) {
  const Split split(128256, 8);
  EXPECT_EQ(split.chunk(), 16032);
  EXPECT_EQ(split.size(7), 16032);
}

TEST(Split, what_cannot_be_cut_is_refused) {
  EXPECT_THROW(Split(-1, 2), std::invalid_argument);
  EXPECT_THROW(Split(1, 0), std::invalid_argument);
  EXPECT_THROW(Split(1, 1, 0), std::invalid_argument);
}

}  // namespace
}  // namespace assay::kernels::fsdp
