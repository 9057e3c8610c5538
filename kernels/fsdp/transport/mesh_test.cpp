// SPDX-License-Identifier: Apache-2.0
// Ranks as threads of one process; processes are group/'s tests.
#include "kernels/fsdp/transport/mesh.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <optional>
#include <thread>

#include "kernels/fsdp/transport/error.hpp"

namespace assay::kernels::fsdp {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::StartsWith;

struct End {
  std::optional<TransportFault> fault;
  std::string message;
  std::chrono::milliseconds took{0};
};

/// Runs `body` on every rank; a mesh closes when its rank's body ends.
std::vector<End> on_ranks(int world, const std::function<void(Mesh&)>& body,
                          TruncateFault truncate_on_rank_1 = {}) {
  std::vector<Listener> listeners(static_cast<std::size_t>(world));
  std::vector<std::string> addresses;
  for (const Listener& listener : listeners) addresses.push_back(listener.address());
  std::vector<End> ends(listeners.size());
  std::vector<std::thread> threads;
  for (int rank = 0; rank < world; ++rank)
    threads.emplace_back([&, rank] {
      const auto begin = std::chrono::steady_clock::now();
      End& end = ends[static_cast<std::size_t>(rank)];
      try {
        Mesh mesh(listeners[static_cast<std::size_t>(rank)], addresses,
                  {.rank = rank,
                   .world = world,
                   .group = "test",
                   .truncate = rank == 1 ? truncate_on_rank_1 : TruncateFault{}});
        body(mesh);
      } catch (const TransportError& error) {
        end.fault = error.fault(), end.message = error.what();
      }
      end.took =
          std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begin);
    });
  for (std::thread& thread : threads) thread.join();
  return ends;
}

void expect_all_well(const std::vector<End>& ends) {
  for (const End& end : ends) EXPECT_FALSE(end.fault) << end.message;
}

/// Every rank sends `bytes` of its number to every other.
void all_to_all(Mesh& mesh, std::size_t bytes, OperationKind kind = OperationKind::kAllGather,
                std::chrono::milliseconds timeout = 5000ms) {
  const std::vector<std::byte> own(bytes, static_cast<std::byte>(mesh.rank() + 1));
  std::vector<std::vector<std::byte>> others(static_cast<std::size_t>(mesh.world()),
                                             std::vector<std::byte>(bytes));
  std::vector<Outgoing> out;
  std::vector<Incoming> in;
  for (int peer = 0; peer < mesh.world(); ++peer)
    if (peer != mesh.rank()) {
      out.push_back({peer, own});
      in.push_back({peer, others[static_cast<std::size_t>(peer)]});
    }
  mesh.exchange(kind, out, in, timeout);
  for (const Incoming& each : in)
    for (const std::byte b : each.bytes) ASSERT_EQ(b, static_cast<std::byte>(each.peer + 1));
}

TEST(Mesh, everyone_gets_everyones_bytes) {
  for (const int world : {1, 2, 3, 8})
    expect_all_well(on_ranks(world, [](Mesh& mesh) {
      for (const std::size_t bytes : {0u, 1u, 1000u, 70000u}) all_to_all(mesh, bytes);
    }));
}

TEST(Mesh, two_ranks_that_send_more_than_sockets_hold_do_not_block_each_other) {
  expect_all_well(on_ranks(2, [](Mesh& mesh) {
    const std::vector<std::byte> large(20'000'000, std::byte{7});
    std::vector<std::byte> got(large.size());
    const std::vector<Outgoing> out{{1 - mesh.rank(), large}};
    const std::vector<Incoming> in{{1 - mesh.rank(), got}};
    mesh.exchange(OperationKind::kPointToPoint, out, {}, 5000ms);
    mesh.exchange(OperationKind::kPointToPoint, {}, in, 5000ms);
    EXPECT_EQ(got, large);
  }));
}

TEST(Mesh, messages_between_pairs_do_not_disturb_collectives) {
  expect_all_well(on_ranks(3, [](Mesh& mesh) {
    std::byte value{9}, got{};
    const std::vector<Outgoing> out{{2, {&value, 1}}};
    const std::vector<Incoming> in{{0, {&got, 1}}};
    if (mesh.rank() == 0)
      mesh.exchange(OperationKind::kPointToPoint, out, {}, 5000ms);
    all_to_all(mesh, 100);
    if (mesh.rank() == 2)
      mesh.exchange(OperationKind::kPointToPoint, {}, in, 5000ms);
    EXPECT_EQ(got, mesh.rank() == 2 ? value : std::byte{});
  }));
}

TEST(Mesh, a_rank_that_ends_is_named_at_once) {
  const auto ends = on_ranks(3, [](Mesh& mesh) {
    all_to_all(mesh, 8);
    if (mesh.rank() != 1)
      all_to_all(mesh, 8);
  });
  for (const std::size_t rank : {0u, 2u}) {
    EXPECT_EQ(ends[rank].fault, TransportFault::kPeerClosed);
    EXPECT_THAT(ends[rank].message, StartsWith("all_gather 1 of group test on rank " + std::to_string(rank)));
    EXPECT_THAT(ends[rank].message,
                HasSubstr("expected rank 1 to take part, found it closed the connection"));
    EXPECT_LT(ends[rank].took, 4000ms);
  }
}

TEST(Mesh, a_rank_that_hangs_is_named_when_the_time_is_over) {
  const auto ends = on_ranks(3, [](Mesh& mesh) {
    if (mesh.rank() == 1)
      std::this_thread::sleep_for(600ms);
    else
      all_to_all(mesh, 8, OperationKind::kAllReduce, 200ms);
  });
  for (const std::size_t rank : {0u, 2u}) {
    EXPECT_EQ(ends[rank].fault, TransportFault::kTimeout);
    EXPECT_THAT(ends[rank].message,
                HasSubstr("expected every rank within 200 ms, found nothing more of rank 1"));
    EXPECT_LT(ends[rank].took, 550ms);
  }
}

TEST(Mesh, a_message_cut_short_is_no_message) {
  const auto ends = on_ranks(2,
                             [](Mesh& mesh) {
                               all_to_all(mesh, 8);
                               all_to_all(mesh, 1000);
                             },
                             {.at = 1});
  EXPECT_EQ(ends[0].fault, TransportFault::kTruncated);
  EXPECT_THAT(ends[0].message, HasSubstr("expected a message of 1000 bytes from rank 1, found 500 of them"));
}

TEST(Mesh, ranks_in_different_operations_or_sizes_learn_it) {
  auto ends = on_ranks(2, [](Mesh& mesh) {
    all_to_all(mesh, 8, mesh.rank() == 0 ? OperationKind::kAllReduce : OperationKind::kBroadcast);
  });
  EXPECT_TRUE(ends[0].fault == TransportFault::kMismatch || ends[1].fault == TransportFault::kMismatch);
  ends = on_ranks(2, [](Mesh& mesh) { all_to_all(mesh, mesh.rank() == 0 ? 8 : 16); });
  const End& end = ends[0].fault == TransportFault::kMismatch ? ends[0] : ends[1];
  EXPECT_EQ(end.fault, TransportFault::kMismatch);
  EXPECT_THAT(end.message, HasSubstr("every rank must run the same operations"));
}

TEST(Mesh, a_rank_that_never_comes_is_named) {
  Listener here, there;
  try {
    Mesh mesh(here, {here.address(), there.address()},
              {.rank = 0, .world = 2, .group = "late", .connect_timeout = 100ms});
    FAIL() << "connected to nobody";
  } catch (const TransportError& error) {
    EXPECT_EQ(error.fault(), TransportFault::kTimeout);
    EXPECT_THAT(error.what(), HasSubstr("connecting group late on rank 0: expected rank 1 within 100 ms"));
  }
}

TEST(Mesh, addresses_that_are_none_are_refused) {
  EXPECT_THROW(connect_to("nowhere"), std::invalid_argument);
  EXPECT_THROW(connect_to("127.0.0.1:"), std::invalid_argument);
  EXPECT_THROW(connect_to("127.0.0.1:70000"), std::invalid_argument);
  EXPECT_THROW(Listener("not an address"), std::invalid_argument);
}

}  // namespace
}  // namespace assay::kernels::fsdp
