// SPDX-License-Identifier: Apache-2.0
#include "kernels/fsdp/group/socket_backend.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <torch/csrc/distributed/c10d/PrefixStore.hpp>

#include "kernels/fsdp/group/processes_test.hpp"

namespace assay::kernels::fsdp {
namespace {

using at::Tensor;
using Tensors = std::vector<Tensor>;

/// Runs `body` with a group in 2 and in 4 processes.
void with_groups(const std::function<void(SocketBackend&)>& body) {
  for (const int world : {2, 4})
    expect_all_ok(in_processes(world, [&](const RankContext& context) { body(*context.group()); }));
}

void require_equal(const Tensor& found, const Tensor& wanted, const char* what) {
  require(found.equal(wanted), what);
}

/// Bytes that depend on the rank alone.
Tensor bytes_of(int rank, std::int64_t count) {
  return (at::arange(count, at::kLong) * 31 + rank * 7).remainder(251).to(at::kByte);
}

TEST(SocketBackend, packed_bytes_are_gathered_rank_after_rank) {
  with_groups([](SocketBackend& group) {
    Tensor input = bytes_of(group.getRank(), 33 * 1024 + 5);
    Tensor output = at::empty({input.numel() * group.getSize()}, at::kByte);
    require(group._allgather_base(output, input, {})->wait(), "expected finished work");
    for (int rank = 0; rank < group.getSize(); ++rank)
      require_equal(output.chunk(group.getSize())[static_cast<std::size_t>(rank)],
                    bytes_of(rank, input.numel()), "gathered bytes");
  });
}

TEST(SocketBackend, a_gather_in_place_and_a_coalesced_one_give_the_same) {
  with_groups([](SocketBackend& group) {
    const int rank = group.getRank(), size = group.getSize();
    Tensor output = at::zeros({100 * size}, at::kByte);
    Tensor own = output.narrow(0, 100 * rank, 100);
    own.copy_(bytes_of(rank, 100));
    group._allgather_base(output, own, {});
    Tensors inputs{bytes_of(rank, 100), at::full({3}, rank, at::kFloat)};
    Tensors outputs{at::empty({100 * size}, at::kByte), at::empty({size, 3}, at::kFloat)};
    group.allgather_into_tensor_coalesced(outputs, inputs, {});
    require_equal(outputs[0], output, "coalesced bytes");
    require(outputs[1][size - 1][2].item<float>() == static_cast<float>(size - 1), "coalesced floats");
    Tensors one{bytes_of(rank, 7)};
    std::vector<Tensors> lists{Tensors(static_cast<std::size_t>(size))};
    for (Tensor& each : lists[0]) each = at::empty({7}, at::kByte);
    group.allgather(lists, one, {});
    require_equal(lists[0].back(), bytes_of(size - 1, 7), "list of outputs");
  });
}

TEST(SocketBackend, sums_have_the_order_of_the_ranks_on_every_rank) {
  // 1e8 + 1 - 1e8 in f32 is 0 in this order and 1 in others.
  expect_all_ok(in_processes(3, [](const RankContext& context) {
    const auto group = context.group();
    const float values[] = {1e8f, 1.0f, -1e8f};
    Tensors tensors{at::full({5}, values[context.rank], at::kFloat)};
    group->allreduce(tensors, {});
    require_equal(tensors[0], at::zeros({5}, at::kFloat), "expected the sum in the order of the ranks");
  }));
}

TEST(SocketBackend, reductions_and_their_scattered_halves_agree) {
  with_groups([](SocketBackend& group) {
    const int rank = group.getRank(), size = group.getSize();
    Tensor input = at::arange(12 * size, at::kFloat) * (rank + 1);
    Tensors whole{input.clone()};
    group.allreduce(whole, {});
    Tensor mine = at::empty({12}, at::kFloat);
    group._reduce_scatter_base(mine, input, {});
    require_equal(mine, whole[0].chunk(size)[static_cast<std::size_t>(rank)], "reduce_scatter");
    Tensors outputs{at::empty({12}, at::kFloat)};
    std::vector<Tensors> lists{input.chunk(size)};
    group.reduce_scatter(outputs, lists, {});
    require_equal(outputs[0], mine, "reduce_scatter of a list");
    Tensors largest{at::tensor({rank, -rank})};
    c10d::AllreduceOptions options;
    options.reduceOp = c10d::ReduceOp::MAX;
    group.allreduce(largest, options);
    require_equal(largest[0], at::tensor({size - 1, 0}), "maximum");
  });
}

TEST(SocketBackend, a_root_gives_everyone_its_values_and_a_ring_passes_messages_on) {
  with_groups([](SocketBackend& group) {
    const int rank = group.getRank(), size = group.getSize();
    Tensors tensors{at::full({9}, rank, at::kLong)};
    c10d::BroadcastOptions options;
    options.rootRank = 1;
    group.broadcast(tensors, options);
    require_equal(tensors[0], at::full({9}, 1, at::kLong), "broadcast");
    Tensors out{bytes_of(rank, 300'000)}, in{at::empty({300'000}, at::kByte)};
    for (int round = 0; round < 3; ++round) {
      group.send(out, (rank + 1) % size, 0);
      group.recv(in, (rank + size - 1) % size, 0);
    }
    require_equal(in[0], bytes_of((rank + size - 1) % size, 300'000), "ring");
    require(group.barrier({})->isCompleted(), "barrier");
  });
}

TEST(SocketBackend, messages_of_another_tag_wait_for_who_asks_for_them) {
  expect_all_ok(in_processes(2, [](const RankContext& context) {
    const auto group = context.group();
    const int other = 1 - context.rank;
    for (const int tag : {0, 0, 7}) {  // large ones: both ranks send before either receives
      Tensors out{at::full({500'000}, 10 * context.rank + tag, at::kFloat)};
      group->send(out, other, tag);
    }
    for (const int tag : {7, 0, 0}) {
      Tensors in{at::empty({500'000}, at::kFloat)};
      group->recv(in, other, tag);
      require_equal(in[0], at::full({500'000}, 10 * other + tag, at::kFloat), "the message of that tag");
    }
  }));
}

TEST(SocketBackend, what_ran_is_counted) {
  expect_all_ok(in_processes(4, [](const RankContext& context) {
    const auto group = context.group();
    Tensor input = bytes_of(context.rank, 10), output = at::empty({40}, at::kByte);
    for (int i = 0; i < 3; ++i) group->_allgather_base(output, input, {});
    require(group->traffic().at(OperationKind::kAllGather) == Traffic{3, 90},
            "3 gathers of 30 bytes received");
    require(!group->traffic().contains(OperationKind::kAllReduce), "nothing was reduced");
  }));
}

TEST(SocketBackend, one_rank_alone_and_two_groups_of_the_same_ranks_work) {
  for (const int world : {1, 2})
    expect_all_ok(in_processes(world, [](const RankContext& context) {
      const auto gather = context.group({.group = "gather"}), reduce = context.group({.group = "reduce"});
      Tensor input = bytes_of(context.rank, 5), output = at::empty({5 * context.world}, at::kByte);
      Tensors sum{at::full({2}, 1, at::kFloat)};
      gather->_allgather_base(output, input, {});
      reduce->allreduce(sum, {});
      require_equal(sum[0], at::full({2}, context.world, at::kFloat), "sum");
      require_equal(output.narrow(0, 5 * context.rank, 5), input, "gather");
    }));
}

TEST(SocketBackend, arguments_that_do_not_fit_are_refused_before_anything_is_sent) {
  expect_all_ok(in_processes(1, [](const RankContext& context) {
    const auto group = context.group();
    Tensor bytes = bytes_of(0, 6), wrong = at::empty({5}, at::kByte), floats = at::empty({6}, at::kFloat);
    const auto refuses = [](const std::function<void()>& call, const char* what) {
      try {
        call();
      } catch (const c10::Error& error) {
        return require(std::string(error.what()).find("expected") != std::string::npos, what);
      }
      throw std::runtime_error(std::string("accepted: ") + what);
    };
    refuses([&] { group->_allgather_base(wrong, bytes, {}); }, "an output of another size");
    refuses([&] { group->_allgather_base(floats, bytes, {}); }, "an output of another type");
    Tensor strided = bytes.view({2, 3}).t();
    Tensors tensors{strided}, two{bytes, bytes}, one{bytes};
    refuses([&] { group->allreduce(tensors, {}); }, "a transposed tensor");
    refuses([&] { group->allreduce(two, {}); }, "two tensors");
    refuses([&] { group->send(one, 0, 0); }, "a message to oneself");
    refuses([&] { group->recv(one, 5, 0); }, "a rank that is not there");
    refuses([&] { group->recv(one, 1, -1); }, "a negative tag");
    group->shutdown();
    refuses([&] { group->barrier({}); }, "a group that was shut down");
  }));
}

}  // namespace
}  // namespace assay::kernels::fsdp
