// SPDX-License-Identifier: Apache-2.0
#include "kernels/fsdp/transport/mesh.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "kernels/fsdp/transport/error.hpp"

namespace assay::kernels::fsdp {
namespace {

struct Greeting {
  std::uint32_t magic = kMeshMagic;
  std::int32_t rank = 0;
};

std::string ranks_text(const std::vector<int>& ranks) {
  std::string text;
  for (const int rank : ranks) (text += text.empty() ? "" : ", ") += std::to_string(rank);
  return text;
}

}  // namespace

std::string name_of(OperationKind kind) {
  switch (kind) {
    case OperationKind::kBroadcast:
      return "broadcast";
    case OperationKind::kAllGather:
      return "all_gather";
    case OperationKind::kAllReduce:
      return "all_reduce";
    case OperationKind::kReduceScatter:
      return "reduce_scatter";
    case OperationKind::kBarrier:
      return "barrier";
    case OperationKind::kPointToPoint:
      return "send/recv";
    case OperationKind::kGoodbye:
      return "goodbye";
  }
  return "operation " + std::to_string(static_cast<std::uint32_t>(kind));
}

Mesh::Mesh(Listener& listener, const std::vector<std::string>& addresses, const Options& options)
    : options_(options), peers_(static_cast<std::size_t>(options.world)) {
  if (options.rank < 0 || options.rank >= options.world || addresses.size() != peers_.size())
    throw std::invalid_argument(
        "mesh: expected a rank within the world and an address for each, found rank " +
        std::to_string(options.rank) + " of " + std::to_string(options.world) + ", " +
        std::to_string(addresses.size()) + " addresses");
  connect(listener, addresses);
}

void Mesh::connect(Listener& listener, const std::vector<std::string>& addresses) {
  const Deadline deadline = std::chrono::steady_clock::now() + options_.connect_timeout;
  for (int peer = 0; peer < options_.rank; ++peer) {
    Socket socket = connect_to(addresses[static_cast<std::size_t>(peer)]);
    const Greeting greeting{kMeshMagic, options_.rank};
    send_all(socket, &greeting, sizeof(greeting), deadline);
    peers_[static_cast<std::size_t>(peer)].socket = std::move(socket);
  }
  for (int missing = options_.world - options_.rank - 1; missing > 0; --missing) try {
      Socket socket = listener.accept(deadline);
      Greeting greeting;
      receive_all(socket, &greeting, sizeof(greeting), deadline);
      const auto peer = static_cast<std::size_t>(greeting.rank);
      if (greeting.magic != kMeshMagic || greeting.rank <= options_.rank || greeting.rank >= options_.world ||
          peers_[peer].socket.is_open())
        throw TransportError(TransportFault::kMismatch,
                             "mesh: expected a higher rank's greeting, found another's");
      peers_[peer].socket = std::move(socket);
    } catch (const TransportError& error) {
      std::vector<int> absent;
      for (int rank = options_.rank + 1; rank < options_.world; ++rank)
        if (!peers_[static_cast<std::size_t>(rank)].socket.is_open())
          absent.push_back(rank);
      throw TransportError(
          error.fault(), "connecting group " + options_.group + " on rank " + std::to_string(options_.rank) +
                             ": expected rank " + ranks_text(absent) + " within " +
                             std::to_string(options_.connect_timeout.count()) + " ms; " + error.what());
    }
}

/// A socket closed with bytes unread makes the system throw away what it had sent (RFC 1122, 4.2.2.13): peers
/// would blame this rank for the fault it ends with. So the end is announced and what still arrives is read,
/// for a moment.
void Mesh::close() {
  for (Peer& peer : peers_)
    if (peer.socket.is_open())
      ::shutdown(peer.socket.descriptor(), SHUT_WR);
  const Deadline deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(100);
  std::vector<std::byte> ignored(1 << 16);
  for (Peer& peer : peers_) {
    pollfd readable{peer.socket.descriptor(), POLLIN, 0};
    while (peer.socket.is_open() && ::poll(&readable, 1, milliseconds_left(deadline)) > 0 &&
           ::recv(peer.socket.descriptor(), ignored.data(), ignored.size(), MSG_DONTWAIT) > 0) {
    }
    peer.socket.close();
  }
}

/// Reads what there is from a peer; notes where its connection ends.
void Mesh::take_in(int rank) {
  Peer& peer = peers_[static_cast<std::size_t>(rank)];
  for (;;) {
    const bool in_header = peer.header_got < sizeof(Header);
    std::byte* to = in_header ? reinterpret_cast<std::byte*>(&peer.header) + peer.header_got
                              : peer.partial.data() + peer.got;
    const std::size_t wanted = in_header ? sizeof(Header) - peer.header_got : peer.partial.size() - peer.got;
    const ssize_t received = ::recv(peer.socket.descriptor(), to, wanted, MSG_DONTWAIT);
    if (received < 0 && (errno == EAGAIN || errno == EINTR))
      return;
    if (received <= 0) {
      peer.closed = received == 0 ? "it closed the connection" : std::generic_category().message(errno);
      peer.socket.close();
      return;
    }
    if (!advance(peer, static_cast<std::size_t>(received)))
      return;
  }
}

/// `bytes` more of the message on its way in. False where what came is no message.
bool Mesh::advance(Peer& peer, std::size_t bytes) {
  if (peer.header_got < sizeof(Header)) {
    peer.header_got += bytes;
    if (peer.header_got < sizeof(Header))
      return true;
    if (peer.header.magic != kMeshMagic) {
      peer.closed = "it sent what is no message";
      peer.socket.close();
      return false;
    }
    peer.partial.resize(peer.header.bytes);
  } else {
    peer.got += bytes;
  }
  if (peer.got == peer.partial.size()) {
    if (peer.header.kind == OperationKind::kGoodbye) {
      peer.goodbye.assign(reinterpret_cast<const char*>(peer.partial.data()), peer.partial.size());
    } else {
      auto& box = peer.header.kind == OperationKind::kPointToPoint ? peer.point_to_point[peer.header.tag]
                                                                   : peer.collective;
      box.push_back({peer.header, std::move(peer.partial)});
    }
    peer.partial.clear();
    peer.header_got = peer.got = 0;
  }
  return true;
}

}  // namespace assay::kernels::fsdp
