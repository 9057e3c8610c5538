// SPDX-License-Identifier: Apache-2.0
// Ranks that die, hang, cut a message or run another operation: the others end in time and say who and where.
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <thread>

#include "kernels/fsdp/group/processes_test.hpp"

namespace assay::kernels::fsdp {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

constexpr auto kTimeout = 1500ms;
constexpr auto kTolerance = 3000ms;  // for starting processes on a busy machine

/// Three reductions on `world` ranks; before the second, rank 1 does `fault`.
std::vector<ProcessEnd> with_fault(int world, const std::function<void(SocketBackend&)>& fault,
                                   TruncateFault truncate = {}) {
  return in_processes(world, [&](const RankContext& context) {
    const auto group = context.group(
        {.group = "reduce", .timeout = kTimeout, .truncate = context.rank == 1 ? truncate : TruncateFault{}});
    for (int step = 0; step < 3; ++step) {
      if (step == 1 && context.rank == 1)
        fault(*group);
      std::vector<at::Tensor> tensors{at::full({1000}, 1.0f, at::kFloat)};
      group->allreduce(tensors, {});
    }
  });
}

/// Every rank but 1 ended by itself, in time, with a message that names operation, group and rank 1.
void expect_named(const std::vector<ProcessEnd>& ends, const char* found) {
  for (std::size_t rank = 0; rank < ends.size(); ++rank) {
    if (rank == 1)
      continue;
    EXPECT_FALSE(ends[rank].ok);
    EXPECT_EQ(ends[rank].signal, 0) << "rank " << rank << " did not end by itself";
    EXPECT_THAT(ends[rank].message,
                HasSubstr("all_reduce 1 of group reduce on rank " + std::to_string(rank)));
    EXPECT_THAT(ends[rank].message, HasSubstr("rank 1"));
    EXPECT_THAT(ends[rank].message, HasSubstr(found));
    EXPECT_LT(ends[rank].took, kTimeout + kTolerance);
  }
}

TEST(GroupFailure, a_killed_rank_is_named_by_the_others) {
  for (const int world : {2, 4})
    for (const int signal : {SIGKILL, SIGTERM}) {
      const auto ends = with_fault(world, [&](SocketBackend&) { raise(signal); });
      EXPECT_EQ(ends[1].signal, signal);
      expect_named(ends, "expected rank 1 to take part");
    }
}

TEST(GroupFailure, a_rank_that_exits_early_without_an_error_is_named_too) {
  expect_named(with_fault(4, [](SocketBackend&) { _exit(0); }), "expected rank 1 to take part");
}

TEST(GroupFailure, a_rank_that_hangs_is_named_when_the_timeout_is_over) {
  expect_named(with_fault(4, [](SocketBackend&) { std::this_thread::sleep_for(kTimeout + 500ms); }),
               "within 1500 ms, found nothing more of rank 1");
}

TEST(GroupFailure, a_stopped_process_hangs_too) {
  const auto ends = in_processes(2, [&](const RankContext& context) {
    const auto group = context.group({.group = "reduce", .timeout = kTimeout});
    std::vector<at::Tensor> tensors{at::full({4}, 1.0f, at::kFloat)}, own{at::full({1}, getpid(), at::kInt)};
    if (context.rank == 1)
      group->send(own, 0, 0);
    else
      group->recv(own, 1, 0);
    group->allreduce(tensors, {});
    if (context.rank == 1)
      raise(SIGSTOP);
    try {
      group->allreduce(tensors, {});
    } catch (...) {
      kill(own[0].item<int>(), SIGKILL);
      throw;
    }
  });
  expect_named(ends, "found nothing more of rank 1");
  EXPECT_EQ(ends[1].signal, SIGKILL);
}

TEST(GroupFailure, a_message_cut_short_is_no_message) {
  const auto ends = with_fault(2, [](SocketBackend&) {}, {.at = 1});
  expect_named(ends, "expected a message of 4000 bytes from rank 1, found 2000 of them");
}

TEST(GroupFailure, ranks_in_different_operations_or_of_different_sizes_learn_it) {
  const auto operations = with_fault(2, [](SocketBackend& group) { group.barrier({}); });
  EXPECT_THAT(operations[0].message + operations[1].message,
              HasSubstr("every rank must run the same operations in the same order"));
  const auto sizes = with_fault(2, [](SocketBackend& group) {
    std::vector<at::Tensor> tensors{at::zeros({10}, at::kFloat)};
    group.allreduce(tensors, {});
  });
  EXPECT_FALSE(sizes[0].ok);
  EXPECT_THAT(sizes[0].message + sizes[1].message, HasSubstr("expected 4000 bytes from rank 1, found 40"));
}

TEST(GroupFailure, a_failed_group_stays_failed_and_knows_why) {
  const auto ends = in_processes(2, [](const RankContext& context) {
    const auto group = context.group({.timeout = 300ms});
    if (context.rank == 1)
      return std::this_thread::sleep_for(1000ms);
    try {
      group->barrier({});
    } catch (const c10::DistBackendError&) {
    }
    require(group->getError() == c10d::ErrorType::TIMEOUT, "expected to know that it was a timeout");
    group->barrier({});
  });
  EXPECT_THAT(ends[0].message, HasSubstr("had failed before"));
}

TEST(GroupFailure, a_rank_that_never_comes_is_named) {
  const auto ends = in_processes(2, [](const RankContext& context) {
    if (context.rank == 0)
      context.group({.group = "late", .connect_timeout = 400ms});
  });
  EXPECT_THAT(ends[0].message, HasSubstr("group late on rank 0: expected rank 1 to come within 400 ms"));
}

}  // namespace
}  // namespace assay::kernels::fsdp
