// SPDX-License-Identifier: Apache-2.0
// Sharded training on 1, 2 and 4 ranks against the plain model: losses of a run, what is gathered, what is
// kept, and that faults show.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <cstdio>

#include "kernels/fsdp/engine/step_shapes.hpp"
#include "kernels/fsdp/layout/rank_memory.hpp"
#include "tests/fsdp/ranks.hpp"

namespace assay::testing {
namespace {

namespace fsdp = kernels::fsdp;
using kernels::compile::Keep;
using ::testing::HasSubstr;

/// How far one process is from itself when it sums the same batch in another order: what a sharded run may be
/// off.
double band() {
  static const double difference = [] {
    const std::vector<double> one = sharded_losses(1);
    double largest = 0;
    for (const auto& order : {std::vector<std::int64_t>{3, 2, 1, 0}, {2, 0, 3, 1}, {1, 3, 0, 2}})
      largest = std::max(largest, largest_difference(sharded_losses(1, {.sequences = order}), one));
    std::printf("[ band ] %.2e of the loss over %d steps, by the order of the sequences alone\n", largest,
                kSteps);
    return largest;
  }();
  return difference;
}

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
  const double one = largest_difference(sharded_losses(1, {.compute = at::kBFloat16}), exact),
               two = largest_difference(sharded_losses(2, {.compute = at::kBFloat16}), exact);
  std::printf("[ bf16 against f32 ] one rank %.2e, two %.2e\n", one, two);
  EXPECT_LE(two, 4 * one);
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

TEST(ShardedStep, gradients_that_are_not_finite_on_one_rank_move_nothing_on_any) {
  losses_of(2, [](const fsdp::RankContext& context) {
    Problem p = training_problem(sequences_of(context.rank, 2));
    if (context.rank == 1)
      p.model.norm.fill_(std::numeric_limits<float>::quiet_NaN());
    const auto step = sharded_step(p, groups_of(context), {});
    const auto bytes = [&] {
      std::vector<std::byte> all;
      for (const auto& [part, piece] : step->adapters().parts())
        all.insert(all.end(), piece.begin(), piece.end());
      return all;
    };
    const auto before = bytes();
    run_steps(*step, 1, 2);
    fsdp::require(bytes() == before, "expected that no rank moved");
    return std::vector<double>{};
  });
}

/// Rank 2 is killed when it would run its n-th gather of layers or reduction of the adapters' gradients (one
/// bucket).
template <int kGather, int kReduce>
struct KilledRank : fsdp::SocketBackend {
  using SocketBackend::SocketBackend;
  WorkPtr _allgather_base(at::Tensor& output, at::Tensor& input,
                          const c10d::AllgatherOptions& options) override {
    if (rank_ == 2 && input.scalar_type() == at::kByte && ++gathers == kGather)
      raise(SIGKILL);
    return SocketBackend::_allgather_base(output, input, options);
  }
  WorkPtr _reduce_scatter_base(at::Tensor& output, at::Tensor& input,
                               const c10d::ReduceScatterOptions& o) override {
    if (rank_ == 2 && input.dim() == 1 && ++reduces == kReduce)
      raise(SIGKILL);
    return SocketBackend::_reduce_scatter_base(output, input, o);
  }
  int gathers = 0, reduces = 0;
};

template <class Backend>
void expect_named(const std::string& operation) {
  const auto ends = fsdp::in_processes(4, [](const fsdp::RankContext& context) {
    at::set_num_threads(1);
    Problem p = training_problem(sequences_of(context.rank, 4));
    run_steps(*sharded_step(p, groups_of<Backend>(context), {}), 1, 3);
  });
  EXPECT_EQ(ends[2].signal, SIGKILL);
  for (const std::size_t rank : {0u, 1u, 3u}) {
    EXPECT_FALSE(ends[rank].ok);
    EXPECT_EQ(ends[rank].signal, 0) << "rank " << rank << " did not end by itself";
    EXPECT_LT(ends[rank].took, std::chrono::seconds(10));
    EXPECT_THAT(ends[rank].message, HasSubstr("expected rank 2 to take part"));
    EXPECT_THAT(ends[rank].message, HasSubstr(operation + " of group "));
  }
}

TEST(ShardedStep, a_rank_killed_in_forward_backward_or_a_reduction_is_named_by_the_others) {
  expect_named<KilledRank<3, 0>>("all_gather 2");       // forward
  expect_named<KilledRank<6, 0>>("all_gather 5");       // backward
  expect_named<KilledRank<8, 0>>("all_gather 7");       // the second step
  expect_named<KilledRank<0, 2>>("reduce_scatter 21");  // the second step's gradients
}

// The comparison is compared: each of these faults must show.

/// The reduce-scatter that keeps this rank's gradients.
struct SkippedReduce : fsdp::SocketBackend {
  using SocketBackend::SocketBackend;
  WorkPtr _reduce_scatter_base(at::Tensor& output, at::Tensor& input,
                               const c10d::ReduceScatterOptions& o) override {
    if (input.dim() > 1)  // of the vocabulary
      return SocketBackend::_reduce_scatter_base(output, input, o);
    output.copy_(input.chunk(size_)[static_cast<std::size_t>(rank_)]);
    return {};
  }
};

/// The gather that leaves in its buffer what was there, from the fourth of a group on.
struct StaleGather : fsdp::SocketBackend {
  using SocketBackend::SocketBackend;
  WorkPtr _allgather_base(at::Tensor& output, at::Tensor& input,
                          const c10d::AllgatherOptions& options) override {
    return ++count > 3 && input.scalar_type() == at::kByte
               ? WorkPtr{}
               : SocketBackend::_allgather_base(output, input, options);
  }
  int count = 0;
};

/// Every rank's labels counted as if all had as many: the mean of the ranks' means.
struct MeanOfMeans : fsdp::SocketBackend {
  using SocketBackend::SocketBackend;
  WorkPtr allreduce(std::vector<at::Tensor>& tensors, const c10d::AllreduceOptions& options) override {
    if (tensors[0].scalar_type() != at::kDouble)
      return SocketBackend::allreduce(tensors, options);
    const double own = std::max(tensors[0][0].item<double>(), 1.0);
    tensors[0][1] /= own;
    SocketBackend::allreduce(tensors, options);
    tensors[0][0] = own * size_;
    tensors[0][1] *= own;
    return {};
  }
};

TEST(ShardedStep, a_skipped_reduction_a_stale_buffer_and_a_mean_of_means_are_seen) {
  const auto one = sharded_losses(1);
  EXPECT_GT(largest_difference(sharded_losses<SkippedReduce>(2), one), 1000 * band());
  EXPECT_GT(largest_difference(sharded_losses<StaleGather>(2), one), 1000 * band());
  EXPECT_GT(largest_difference(sharded_losses<MeanOfMeans>(2), one), 1000 * band());
}

}  // namespace
}  // namespace assay::testing
