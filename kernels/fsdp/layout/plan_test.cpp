// SPDX-License-Identifier: Apache-2.0
#include "kernels/fsdp/layout/plan.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <stdexcept>

namespace assay::kernels::fsdp {
namespace {

using testing::HasSubstr;
constexpr std::int64_t kGigabyte = 1'000'000'000;

ModelSizes llama(int layers, std::int64_t h, std::int64_t kv, std::int64_t inner) {
  ModelSizes model;
  model.layer = {{"q", h, h},        {"k", kv, h},     {"v", kv, h},      {"o", h, h},
                 {"gate", inner, h}, {"up", inner, h}, {"down", h, inner}};
  model.layers = layers;
  model.adapters = {{"all", layers, 16 * (2 * 2 * h + 2 * (h + kv) + 3 * (h + inner))}};
  model.dense = {.vocabulary = 128256, .hidden = h, .norm_elements = (2 * layers + 1) * h};
  return model;
}

const ModelSizes k8b = llama(32, 4096, 1024, 14336), k70b = llama(80, 8192, 1024, 28672);

TEST(ShardPlan, a_base_that_fits_is_replicated) {
  const ShardPlan on_h100 =
      choose_plan(k70b, 2, 60 * kGigabyte);  // 35.3 of base, 2.1 of vocabulary, 1.7 of adapters
  EXPECT_EQ(on_h100.shard_ranks, 1);
  EXPECT_EQ(on_h100.received_a_step, 0);
  EXPECT_THAT(on_h100.reason, HasSubstr("replicated needs 39.07 GB of the 60.00 GB a rank has"));
}

TEST(ShardPlan, one_that_does_not_is_sharded_with_as_many_buffers_as_fit) {
  const ShardPlan tight = choose_plan(k70b, 2, 23 * kGigabyte);  // 21.4 beside the buffers' 0.44 each
  EXPECT_EQ(tight.shard_ranks, 2);
  EXPECT_EQ(tight.gather_buffers, 3);
  EXPECT_EQ(tight.gathers_a_step, 2 * (80 - 3));
  // 855 638 016 weights are 52 224 groups of 8 452 bytes, half of them another rank's.
  EXPECT_EQ(tight.received_a_step, tight.gathers_a_step * 220'698'624);
  EXPECT_LE(tight.memory.resident(), 23 * kGigabyte);
  EXPECT_THAT(tight.reason, HasSubstr("replicated needs 39.07 GB; fully sharded needs 22.74 GB"));
  EXPECT_EQ(choose_plan(k8b, 2, 100 * kGigabyte).gather_buffers, 0);
}

TEST(ShardPlan, the_smallest_group_that_fits_is_taken) {
  const ShardPlan plan = choose_plan(k70b, 8, 22 * kGigabyte);
  EXPECT_EQ(plan.shard_ranks, 2);
  EXPECT_THAT(plan.reason, HasSubstr("sharded over groups of 2"));
  EXPECT_EQ(choose_plan(k70b, 8, 12 * kGigabyte).shard_ranks, 4);
  EXPECT_EQ(choose_plan(k70b, 8, 7 * kGigabyte).shard_ranks, 8);
}

TEST(ShardPlan, more_memory_never_needs_more_traffic) {
  std::int64_t before = std::numeric_limits<std::int64_t>::max();
  for (std::int64_t gigabytes = 7; gigabytes <= 60; ++gigabytes) {
    const ShardPlan plan = choose_plan(k70b, 8, gigabytes * kGigabyte);
    EXPECT_LE(plan.received_a_step, before) << gigabytes;
    EXPECT_LE(plan.memory.resident(), gigabytes * kGigabyte);
    before = plan.received_a_step;
  }
  EXPECT_EQ(before, 0);
}

TEST(ShardPlan, what_does_not_fit_at_all_is_refused_with_what_it_needs) {
  try {
    choose_plan(k70b, 2, 10 * kGigabyte);
    FAIL() << "a plan for what does not fit";
  } catch (const std::invalid_argument& error) {
    EXPECT_THAT(error.what(),
                HasSubstr("10.00 GB a rank, found: replicated needs 39.07 GB; fully sharded needs 22.30 GB"));
  }
  EXPECT_THROW(choose_plan({}, 2, kGigabyte), std::invalid_argument);
}

}  // namespace
}  // namespace assay::kernels::fsdp
