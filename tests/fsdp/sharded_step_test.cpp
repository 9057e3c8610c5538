// SPDX-License-Identifier: Apache-2.0
// Sharded training on 1, 2 and 4 ranks against the plain model: losses of a run, what is gathered, what is
// kept.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>

#include "kernels/fsdp/engine/step_shapes.hpp"
#include "kernels/fsdp/layout/rank_memory.hpp"
#include "tests/fsdp/ranks.hpp"

namespace assay::testing {
namespace {

namespace fsdp = kernels::fsdp;
using kernels::compile::Keep;

TEST(ShardedStep, one_rank_trains_as_the_plain_model_does) {
  const auto plain = losses_of(1, [](const fsdp::RankContext&) { return plain_losses(); });
  ASSERT_EQ(plain.size(), static_cast<std::size_t>(kSteps));
  EXPECT_LT(plain.back(), 0.9 * plain.front()) << "a loss that does not move shows nothing";
  const double difference = largest_difference(sharded_losses(1), plain);
  std::printf("[ one rank against the plain model ] %.2e\n", difference);
  EXPECT_LE(difference, 4 * band());
}

TEST(ShardedStep, two_and_four_ranks_have_the_losses_of_one_within_the_band_of_reordered_sums) {
  const auto one = sharded_losses(1);
  EXPECT_GT(band(), 0.0);
  for (const int world : {2, 4})
    for (const fsdp::Sharding sharding : {fsdp::Sharding::kPerParameter, fsdp::Sharding::kFlat}) {
      const auto losses = sharded_losses(world, {.base = {sharding, kFormat, 2}});
      const double difference = largest_difference(losses, one);
      std::printf("[ %d ranks%s ] %.2e\n", world, sharding == fsdp::Sharding::kFlat ? ", flat" : "",
                  difference);
      EXPECT_LE(difference, 4 * band());
    }
}

TEST(ShardedStep, how_the_base_is_sharded_and_buffered_does_not_change_one_bit) {
  const auto expected = sharded_losses(2);
  EXPECT_EQ(sharded_losses(2), expected) << "the same run again";
  EXPECT_EQ(sharded_losses(2, {.base = {fsdp::Sharding::kFlat, kFormat, 2}}), expected);
  EXPECT_EQ(sharded_losses(2, {.base = {fsdp::Sharding::kPerParameter, kFormat, 4}}), expected);
  EXPECT_EQ(sharded_losses(2, {.keep = Keep::kInput}), expected) << "recomputed";
}

TEST(ShardedStep, embedding_and_head_by_vocabulary_stay_within_the_band_and_are_shared_out) {
  // 101 rows: 51 and 50 over two ranks, 26, 26, 26 and 23 over four.
  const auto whole = sharded_losses(1, {.shard_vocabulary = false});
  for (const int world : {1, 2, 4}) {
    const auto losses = sharded_losses(world);
    EXPECT_LE(largest_difference(losses, whole), 4 * band()) << world;
    EXPECT_LE(largest_difference(sharded_losses(world, {.shard_vocabulary = false}), whole), 4 * band())
        << world;
  }
  losses_of(4, [](const fsdp::RankContext& context) {
    Problem p = training_problem(sequences_of(context.rank, 4));
    fsdp::require(sharded_step(p, groups_of(context), {})->vocabulary()->resident_bytes() == 2 * 26 * 64 * 4,
                  "a quarter of both matrices");
    return std::vector<double>{};
  });
}

TEST(ShardedStep, sixteen_bit_products_are_as_near_to_f32_on_two_ranks_as_on_one) {
  const auto exact = sharded_losses(1);
  const fsdp::LossScaler scaler{.scale = 1024};
  for (const RunOptions& options :
       {RunOptions{.compute = at::kBFloat16}, {.compute = at::kHalf, .loss_scaler = scaler}}) {
    const double one = largest_difference(sharded_losses(1, options), exact),
                 two = largest_difference(sharded_losses(2, options), exact);
    std::printf("[ %s against f32 ] one rank %.2e, two %.2e\n", c10::toString(options.compute), one, two);
    EXPECT_LE(two, 4 * one);
  }
}

TEST(ShardedStep, collectives_of_every_step_are_those_of_the_formula) {
  constexpr int kLayers = 4;
  for (int buffers = 2; buffers <= kLayers; ++buffers)
    losses_of(4, [&](const fsdp::RankContext& context) {
      Problem p = training_problem(sequences_of(context.rank, 4));
      const fsdp::RankGroups groups = groups_of(context);
      const auto step = sharded_step(p, groups, {.base = {fsdp::Sharding::kPerParameter, kFormat, buffers}});
      run_steps(*step, 1, 1);
      fsdp::require(step->base().gathers() == 2 * kLayers - buffers, "gathers of the first step");
      run_steps(*step, 2, 4);
      fsdp::require(step->base().gathers() == 2 * kLayers - buffers + 3 * 2 * (kLayers - buffers),
                    "gathers of later steps, found " + std::to_string(step->base().gathers()));
      const auto& traffic = dynamic_cast<fsdp::SocketBackend&>(*groups.reduce).traffic();
      using fsdp::OperationKind;
      fsdp::require(
          traffic.at(OperationKind::kAllGather).operations == 4 * (1 + 3) &&
              traffic.at(OperationKind::kAllReduce).operations == 1 + 4 * (2 + 2) &&
              traffic.at(OperationKind::kReduceScatter).operations == 4 * (1 + 2) && traffic.size() == 3,
          "those of the adapters and the loss, those of the vocabulary, and one that agrees on the tokens");
      return std::vector<double>{};
    });
}

TEST(ShardedStep, a_rank_keeps_its_share_of_the_base_and_two_layers) {
  for (const int world : {2, 4})
    losses_of(world, [&](const fsdp::RankContext& context) {
      Problem p = training_problem(sequences_of(context.rank, world));
      const auto step = sharded_step(p, groups_of(context), {});
      std::int64_t limit = 0, largest = 0;
      for (const auto& layer :
           fsdp::packed_layers(kernels::compile::step_program(options_of(p, Keep::kInput, true)))) {
        const fsdp::PackedLayout layout(layer, world, fsdp::Sharding::kPerParameter, kFormat);
        limit += fsdp::shard_bytes_limit(layout, fsdp::Sharding::kPerParameter);
        largest = std::max(largest, layout.gathered_bytes());
      }
      fsdp::require(step->base().shard_bytes() <= limit, "resident packed bytes");
      fsdp::require(step->base().buffer_bytes() == 2 * largest, "two static buffers");
      return std::vector<double>{};
    });
}

TEST(ShardedStep, what_was_not_loaded_or_does_not_belong_is_refused) {
  losses_of(1, [](const fsdp::RankContext& context) {
    Problem p = training_problem({0});
    const fsdp::RankGroups groups = groups_of(context);
    const auto step = sharded_step(p, groups, {});
    const auto refused = [](const std::function<void()>& call, const std::string& part) {
      try {
        call();
      } catch (const std::exception& error) {
        return fsdp::require(std::string(error.what()).find(part) != std::string::npos, error.what());
      }
      throw std::runtime_error("accepted: " + part);
    };
    refused([&] { step->load("layers.9.q_proj", kernels::nf4::PackedWeights{}); }, "layers.9.q_proj");
    refused([&] { step->load("layers.0.o.lora_C", at::Tensor()); }, "expected an adapter");
    refused([&] { fsdp::packed_layers({}); }, "expected packed weights");
    p.labels.fill_(-100);
    refused([&] { run_steps(*step, 1, 1); }, "at least one label that counts");
    return std::vector<double>{};
  });
}

TEST(ShardedStep, a_base_sharded_over_pairs_or_replicated_gives_the_same_bits) {
  const auto expected = sharded_losses(4);
  for (const int size : {1, 2}) {
    const auto losses = losses_of(4, [&](const fsdp::RankContext& context) {
      Problem p = training_problem(sequences_of(context.rank, 4));
      const auto step = sharded_step(p, hybrid_groups_of(context, size), {});
      auto all = run_steps(*step);
      fsdp::require((step->base().gathers() == 0) == (size == 1), "a whole base is not gathered");
      fsdp::require((step->base().buffer_bytes() == 0) == (size == 1), "nor has it buffers");
      return all;
    });
    EXPECT_EQ(losses, expected) << size;
  }
}

/// Two microbatches a step with the same tokens, whose labels are each the half of the whole's.
std::vector<double> accumulated_losses(int world) {
  return losses_of(world, [](const fsdp::RankContext& context) {
    Problem p = training_problem(sequences_of(context.rank, context.world));
    const at::Tensor first = p.labels.clone(), second = p.labels.clone();
    first.slice(0, p.labels.size(0) / 2).fill_(-100);
    second.slice(0, 0, p.labels.size(0) / 2).fill_(-100);
    const fsdp::RankGroups groups = groups_of(context);
    const auto step = sharded_step(p, groups, {});
    std::vector<double> losses;
    for (int i = 1; i <= kSteps; ++i) {
      step->bind("labels", first);
      step->accumulate();
      step->bind("labels", second);
      losses.push_back(run_steps(*step, i, i)[0]);
    }
    const auto& traffic = dynamic_cast<fsdp::SocketBackend&>(*groups.reduce).traffic();
    fsdp::require(traffic.at(fsdp::OperationKind::kReduceScatter).operations == kSteps * (1 + 2 * 2),
                  "the gradients are reduced once a step, the vocabulary's states once a microbatch");
    return losses;
  });
}

TEST(ShardedStep, gradients_of_microbatches_wait_on_their_rank_and_give_the_loss_of_the_whole_batch) {
  const auto one = sharded_losses(1);
  for (const int world : {1, 2, 4})
    EXPECT_LE(largest_difference(accumulated_losses(world), one), 4 * band()) << world;
}

}  // namespace
}  // namespace assay::testing
