// SPDX-License-Identifier: Apache-2.0
#include "kernels/fsdp/group/socket_backend.hpp"

#include "kernels/fsdp/group/tensor_bytes.hpp"
#include "kernels/fsdp/transport/error.hpp"

namespace assay::kernels::fsdp {
namespace {

using c10d::ErrorType;

ErrorType error_type(TransportFault fault) {
  switch (fault) {
    case TransportFault::kTimeout:
      return ErrorType::TIMEOUT;
    case TransportFault::kPeerClosed:
    case TransportFault::kTruncated:
      return ErrorType::REMOTE_ERROR;
    case TransportFault::kMismatch:
    case TransportFault::kSystem:
      return ErrorType::COMM_ERROR;
  }
  return ErrorType::COMM_ERROR;
}

std::string key_of(const std::string& group, int rank) {
  return "socket/" + group + "/" + std::to_string(rank);
}

/// Publishes this rank's address and waits for everyone's.
std::vector<std::string> meet(c10d::Store& store, const std::string& own, int rank, int size,
                              const SocketOptions& options) {
  store.set(key_of(options.group, rank), std::vector<std::uint8_t>(own.begin(), own.end()));
  std::vector<std::string> addresses;
  for (int peer = 0; peer < size; ++peer) {
    const std::string key = key_of(options.group, peer);
    try {
      store.wait({key}, options.connect_timeout);
    } catch (const std::exception& error) {
      TORCH_CHECK_WITH(DistBackendError, false, "group ", options.group, " on rank ", rank,
                       ": expected rank ", peer, " to come within ", options.connect_timeout.count(),
                       " ms, found nothing in the store (", error.what(), ")");
    }
    const std::vector<std::uint8_t> value = store.get(key);
    addresses.emplace_back(value.begin(), value.end());
  }
  return addresses;
}

}  // namespace

SocketBackend::SocketBackend(const c10::intrusive_ptr<c10d::Store>& store, int rank, int size,
                             const SocketOptions& options)
    : Backend(rank, size),
      store_(store),
      options_(options),
      listener_(std::make_unique<Listener>(options.host)) {
  const auto addresses = meet(*store, listener_->address(), rank, size, options);
  try {
    mesh_ = std::make_unique<Mesh>(*listener_, addresses,
                                   Mesh::Options{.rank = rank,
                                                 .world = size,
                                                 .group = options.group,
                                                 .connect_timeout = options.connect_timeout,
                                                 .truncate = options.truncate});
  } catch (const TransportError& error) {
    TORCH_CHECK_WITH(DistBackendError, false, error.what());
  }
}

void SocketBackend::abort() {
  const std::lock_guard lock(mutex_);
  mesh_.reset();
}

void SocketBackend::exchange(OperationKind kind, std::span<const Outgoing> out, std::span<const Incoming> in,
                             std::chrono::milliseconds timeout) {
  const std::lock_guard lock(mutex_);
  TORCH_CHECK_WITH(DistBackendError, mesh_ != nullptr && error_ == ErrorType::SUCCESS, name_of(kind),
                   " of group ", options_.group, " on rank ", rank_,
                   ": expected a working group, found one that ",
                   mesh_ == nullptr ? "was shut down" : "had failed before");
  Traffic& traffic = traffic_[kind];
  ++traffic.operations;
  for (const Incoming& each : in) traffic.received_bytes += static_cast<std::int64_t>(each.bytes.size());
  try {
    mesh_->exchange(kind, out, in, timeout > std::chrono::milliseconds(0) ? timeout : options_.timeout);
  } catch (const TransportError& error) {
    error_ = error_type(error.fault());
    TORCH_CHECK_WITH(DistBackendError, false, error.what());
  }
}

void SocketBackend::gather_into(const Tensors& outputs, const at::Tensor& input,
                                std::chrono::milliseconds timeout) {
  std::vector<Outgoing> out;
  std::vector<Incoming> in;
  for (int peer = 0; peer < size_; ++peer) {
    const at::Tensor& output = outputs[static_cast<std::size_t>(peer)];
    if (peer == rank_)
      continue;
    out.push_back({peer, bytes_to_send(input)});
    in.push_back({peer, bytes_to_receive(output)});
  }
  exchange(OperationKind::kAllGather, out, in, timeout);
  at::Tensor own = outputs[static_cast<std::size_t>(rank_)];
  if (own.data_ptr() != input.data_ptr())  // in place: the input is already its part of the output
    own.copy_(input);
}

void SocketBackend::reduce_parts(OperationKind kind, const Tensors& parts, at::Tensor output,
                                 const c10d::ReduceOp& op, std::chrono::milliseconds timeout) {
  const at::Tensor& own = parts[static_cast<std::size_t>(rank_)];
  Tensors received(parts.size());
  std::vector<Outgoing> out;
  std::vector<Incoming> in;
  for (int peer = 0; peer < size_; ++peer) {
    const auto i = static_cast<std::size_t>(peer);
    received[i] = peer == rank_ ? own : at::empty_like(own);
    if (peer == rank_)
      continue;
    out.push_back({peer, bytes_to_send(parts[i])});
    in.push_back({peer, bytes_to_receive(received[i])});
  }
  exchange(kind, out, in, timeout);
  output.copy_(reduce_in_order(received, op));
}

SocketBackend::WorkPtr SocketBackend::broadcast(Tensors& tensors, const c10d::BroadcastOptions& options) {
  const at::Tensor tensor = only(tensors, "broadcast");
  const int root = static_cast<int>(options.rootRank);
  TORCH_CHECK_VALUE(root >= 0 && root < size_, "broadcast: expected a root of 0 to ", size_ - 1, ", found ",
                    root);
  std::vector<Outgoing> out;
  std::vector<Incoming> in;
  if (root != rank_)
    in.push_back({root, bytes_to_receive(tensor)});
  for (int peer = 0; peer < size_ && root == rank_; ++peer)
    if (peer != rank_)
      out.push_back({peer, bytes_to_send(tensor)});
  exchange(OperationKind::kBroadcast, out, in, options.timeout);
  return finished(c10d::OpType::BROADCAST, rank_, {tensor});
}

SocketBackend::WorkPtr SocketBackend::allreduce(Tensors& tensors, const c10d::AllreduceOptions& options) {
  const at::Tensor tensor = only(tensors, "allreduce");
  reduce_parts(OperationKind::kAllReduce, Tensors(static_cast<std::size_t>(size_), tensor), tensor,
               options.reduceOp, options.timeout);
  return finished(c10d::OpType::ALLREDUCE, rank_, {tensor});
}

SocketBackend::WorkPtr SocketBackend::allgather(std::vector<Tensors>& outputs, Tensors& inputs,
                                                const c10d::AllgatherOptions& options) {
  const at::Tensor input = only(inputs, "allgather");
  TORCH_CHECK_VALUE(outputs.size() == 1 && outputs[0].size() == static_cast<std::size_t>(size_),
                    "allgather: expected one list of ", size_, " outputs, found ", outputs.size(), " lists");
  for (const at::Tensor& output : outputs[0]) require_like(output, input, input.numel(), "allgather");
  gather_into(outputs[0], input, options.timeout);
  return finished(c10d::OpType::ALLGATHER, rank_, outputs[0]);
}

SocketBackend::WorkPtr SocketBackend::_allgather_base(at::Tensor& output, at::Tensor& input,
                                                      const c10d::AllgatherOptions& options) {
  require_like(output, input, input.numel() * size_, "_allgather_base");
  gather_into(output.view(-1).chunk(size_), input.view(-1), options.timeout);
  return finished(c10d::OpType::_ALLGATHER_BASE, rank_, {output});
}

SocketBackend::WorkPtr SocketBackend::allgather_into_tensor_coalesced(Tensors& outputs, Tensors& inputs,
                                                                      const c10d::AllgatherOptions& options) {
  TORCH_CHECK_VALUE(outputs.size() == inputs.size(),
                    "allgather_into_tensor_coalesced: expected as many outputs as the ", inputs.size(),
                    " inputs, found ", outputs.size());
  for (std::size_t i = 0; i < inputs.size(); ++i) _allgather_base(outputs[i], inputs[i], options);
  return finished(c10d::OpType::COALESCED, rank_, outputs);
}

SocketBackend::WorkPtr SocketBackend::reduce_scatter(Tensors& outputs, std::vector<Tensors>& inputs,
                                                     const c10d::ReduceScatterOptions& options) {
  const at::Tensor output = only(outputs, "reduce_scatter");
  TORCH_CHECK_VALUE(inputs.size() == 1 && inputs[0].size() == static_cast<std::size_t>(size_),
                    "reduce_scatter: expected one list of ", size_, " inputs, found ", inputs.size(),
                    " lists");
  for (const at::Tensor& input : inputs[0]) require_like(input, output, output.numel(), "reduce_scatter");
  reduce_parts(OperationKind::kReduceScatter, inputs[0], output, options.reduceOp, options.timeout);
  return finished(c10d::OpType::REDUCE_SCATTER, rank_, {output});
}

SocketBackend::WorkPtr SocketBackend::_reduce_scatter_base(at::Tensor& output, at::Tensor& input,
                                                           const c10d::ReduceScatterOptions& options) {
  require_like(input, output, output.numel() * size_, "_reduce_scatter_base");
  reduce_parts(OperationKind::kReduceScatter, input.view(-1).chunk(size_), output.view(-1), options.reduceOp,
               options.timeout);
  return finished(c10d::OpType::_REDUCE_SCATTER_BASE, rank_, {output});
}

SocketBackend::WorkPtr SocketBackend::send(Tensors& tensors, int to, int tag) {
  const at::Tensor tensor = only(tensors, "send");
  require_other(rank_, size_, to, tag, "send");
  const Outgoing out[] = {{to, bytes_to_send(tensor), static_cast<std::uint32_t>(tag)}};
  exchange(OperationKind::kPointToPoint, out, {}, c10d::kUnsetTimeout);
  return finished(c10d::OpType::SEND, rank_, {tensor});
}

SocketBackend::WorkPtr SocketBackend::recv(Tensors& tensors, int from, int tag) {
  const at::Tensor tensor = only(tensors, "recv");
  require_other(rank_, size_, from, tag, "recv");
  const Incoming in[] = {{from, bytes_to_receive(tensor), static_cast<std::uint32_t>(tag)}};
  exchange(OperationKind::kPointToPoint, {}, in, c10d::kUnsetTimeout);
  return finished(c10d::OpType::RECV, rank_, {tensor});
}

SocketBackend::WorkPtr SocketBackend::barrier(const c10d::BarrierOptions& options) {
  std::vector<Outgoing> out;
  std::vector<Incoming> in;
  for (int peer = 0; peer < size_; ++peer)
    if (peer != rank_) {
      out.push_back({peer, {}});
      in.push_back({peer, {}});
    }
  exchange(OperationKind::kBarrier, out, in, options.timeout);
  return finished(c10d::OpType::BARRIER, rank_, {});
}

}  // namespace assay::kernels::fsdp
