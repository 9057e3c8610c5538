// SPDX-License-Identifier: Apache-2.0
// Ranks that fail in a sharded step, numbers that are none, and wrong collectives: each must show.
#include <ATen/ops/tensor.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <csignal>
#include <cstring>

#include "tests/fsdp/ranks.hpp"

namespace assay::testing {
namespace {

namespace fsdp = kernels::fsdp;
using ::testing::HasSubstr;

TEST(ShardedFaults, gradients_that_are_not_finite_on_one_rank_move_nothing_on_any) {
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

TEST(ShardedFaults, an_overflow_of_f16_on_one_rank_is_skipped_by_all_and_halves_the_scale_everywhere) {
  losses_of(2, [](const fsdp::RankContext& context) {
    Problem p = training_problem(sequences_of(context.rank, 2));
    if (context.rank == 0)
      p.labels.fill_(-100);  // only the other rank has gradients that can overflow
    RunOptions options;
    options.compute = at::kHalf, options.loss_scaler = fsdp::LossScaler{.scale = 0x1p24};
    const auto step = sharded_step(p, groups_of(context), options);
    int skipped = 0, number = 1;
    for (int i = 0; i < 30; ++i) {
      const auto result = step->run(at::tensor({kRate, static_cast<float>(number), kDecay, 0.0f}));
      const double scale = step->loss_scaler()->scale;
      fsdp::require(!result.skipped || scale == 0x1p24 * std::pow(0.5, skipped + 1),
                    "a skipped step halves the scale");
      skipped += result.skipped;
      number += !result.skipped;
      fsdp::require(result.skipped || std::isfinite(result.gradient_norm), "a step that counts is finite");
    }
    fsdp::require(skipped > 3 && skipped < 20, "skipped until it fits, found " + std::to_string(skipped));
    for (const auto& [part, bytes] : step->adapters().parts())
      for (std::size_t at = 0; at < bytes.size(); at += 4) {
        float value = 0;
        std::memcpy(&value, bytes.data() + at, 4);
        fsdp::require(std::isfinite(value), "expected finite adapters and moments");
      }
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

TEST(ShardedFaults, a_rank_killed_in_forward_backward_or_a_reduction_is_named_by_the_others) {
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

TEST(ShardedFaults, a_skipped_reduction_a_stale_buffer_and_a_mean_of_means_are_seen) {
  const auto one = sharded_losses(1);
  EXPECT_GT(largest_difference(sharded_losses<SkippedReduce>(2), one), 1000 * band());
  EXPECT_GT(largest_difference(sharded_losses<StaleGather>(2), one), 1000 * band());
  EXPECT_GT(largest_difference(sharded_losses<MeanOfMeans>(2), one), 1000 * band());
}

}  // namespace
}  // namespace assay::testing
