// SPDX-License-Identifier: Apache-2.0
// A c10d backend for CPU tensors over TCP sockets: what tests of sharded training run on, where every failure
// can be made to happen and every sum has one order. Real jobs on GPUs use c10d's NCCL, through the same
// interface.
//
// Sums are taken in the order of the ranks, on every rank alike, so a result does not depend on who came
// first and a run repeats bit for bit. Every operation is over when its function returns: the returned Work
// is complete and never null (as NCCL's is with asyncOp = false). Volume is world - 1 times the bytes, which
// is fine for a few ranks on one machine.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <torch/csrc/distributed/c10d/Backend.hpp>
#include <torch/csrc/distributed/c10d/Store.hpp>

#include "kernels/fsdp/transport/mesh.hpp"

namespace assay::kernels::fsdp {

struct SocketOptions {
  std::string group = "default";             ///< in the store's keys and in messages
  std::string host = "127.0.0.1";            ///< this rank's address, as the others reach it
  std::chrono::milliseconds timeout{60000};  ///< of an operation that names none
  std::chrono::milliseconds connect_timeout{60000};
  TruncateFault truncate = {};  ///< for tests
};

/// How often an operation ran on this rank, and the bytes it received from others.
struct Traffic {
  std::int64_t operations = 0, received_bytes = 0;
  bool operator==(const Traffic&) const = default;
};

/// Tensors are contiguous, on the CPU, and one a call where c10d's signature takes a list for several
/// devices; reductions are SUM, MIN and MAX. Anything else is a c10::Error that says so. A failed operation
/// throws c10::DistBackendError naming operation, number, group and the ranks at fault, within the timeout;
/// the backend is then of no more use.
class SocketBackend : public c10d::Backend {
 public:
  /// Meets the other ranks through `store`. The store must be of this run (c10d::PrefixStore).
  SocketBackend(const c10::intrusive_ptr<c10d::Store>& store, int rank, int size,
                const SocketOptions& options);

  const std::string getBackendName() const override { return "socket"; }
  void setTimeout(std::chrono::milliseconds timeout) override { options_.timeout = timeout; }
  c10d::ErrorType getError() override { return error_; }
  void abort() override;
  void shutdown() override { abort(); }

  using WorkPtr = c10::intrusive_ptr<c10d::Work>;
  using Tensors = std::vector<at::Tensor>;
  WorkPtr broadcast(Tensors& tensors, const c10d::BroadcastOptions& options) override;
  WorkPtr allreduce(Tensors& tensors, const c10d::AllreduceOptions& options) override;
  WorkPtr allgather(std::vector<Tensors>& outputs, Tensors& inputs,
                    const c10d::AllgatherOptions& options) override;
  WorkPtr _allgather_base(at::Tensor& output, at::Tensor& input,
                          const c10d::AllgatherOptions& options) override;
  WorkPtr allgather_into_tensor_coalesced(Tensors& outputs, Tensors& inputs,
                                          const c10d::AllgatherOptions& options) override;
  WorkPtr reduce_scatter(Tensors& outputs, std::vector<Tensors>& inputs,
                         const c10d::ReduceScatterOptions& options) override;
  WorkPtr _reduce_scatter_base(at::Tensor& output, at::Tensor& input,
                               const c10d::ReduceScatterOptions& options) override;
  /// Messages of one pair, direction and tag (from 0 on) keep their order; those of other tags wait where
  /// they are not asked for.
  WorkPtr send(Tensors& tensors, int to, int tag) override;
  WorkPtr recv(Tensors& tensors, int from, int tag) override;
  WorkPtr barrier(const c10d::BarrierOptions& options) override;

  /// Since it was made. A plan's number of collectives is compared with it.
  const std::map<OperationKind, Traffic>& traffic() const { return traffic_; }

 private:
  void exchange(OperationKind kind, std::span<const Outgoing> out, std::span<const Incoming> in,
                std::chrono::milliseconds timeout);
  /// Sends parts[r] to every rank r and reduces what came for this one into `output`, which may be
  /// parts[own].
  void reduce_parts(OperationKind kind, const Tensors& parts, at::Tensor output, const c10d::ReduceOp& op,
                    std::chrono::milliseconds timeout);
  void gather_into(const Tensors& outputs, const at::Tensor& input, std::chrono::milliseconds timeout);

  c10::intrusive_ptr<c10d::Store> store_;  ///< kept: a FileStore that closes may take its file with it
  SocketOptions options_;
  std::unique_ptr<Listener> listener_;
  std::unique_ptr<Mesh> mesh_;
  std::mutex mutex_;
  std::map<OperationKind, Traffic> traffic_;
  c10d::ErrorType error_ = c10d::ErrorType::SUCCESS;
};

}  // namespace assay::kernels::fsdp
