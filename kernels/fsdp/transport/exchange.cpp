// SPDX-License-Identifier: Apache-2.0
// One operation of a mesh: sends and receives by polling until all is done, somebody is gone, or the time is
// over.
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>

#include "kernels/fsdp/transport/error.hpp"
#include "kernels/fsdp/transport/mesh.hpp"

namespace assay::kernels::fsdp {

class Mesh::Exchange {
 public:
  Exchange(Mesh& mesh, OperationKind kind, std::span<const Outgoing> out, std::span<const Incoming> in,
           std::chrono::milliseconds timeout)
      : mesh_(mesh), kind_(kind), timeout_(timeout), cut_(mesh.operations_++ == mesh.options_.truncate.at) {
    const bool pairs = kind == OperationKind::kPointToPoint;
    const std::uint64_t number = pairs ? 0 : mesh.collectives_++;
    for (const Outgoing& each : out) {
      const std::uint64_t own = pairs ? peer(each.peer).sent[each.tag]++ : number;
      sends_.push_back({each.peer, {kMeshMagic, kind, own, each.bytes.size(), each.tag}, each.bytes, 0});
    }
    for (const Incoming& each : in)
      receives_.push_back(
          {each.peer, pairs ? peer(each.peer).received[each.tag]++ : number, each.bytes, each.tag, false});
  }

  void run() {
    try {
      finish();
    } catch (const TransportError& error) {
      say_goodbye(error.what());
      throw;
    }
  }

 private:
  void finish() {
    const Deadline deadline = std::chrono::steady_clock::now() + timeout_;
    for (;;) {
      for (Send& send : sends_) push(send);
      for (Receive& receive : receives_) pick_up(receive);
      const std::vector<int> waiting = peers_waited_for();
      if (waiting.empty())
        return;
      refuse_closed(waiting);
      poll(deadline, waiting);
    }
  }

  struct Send {
    int peer;
    Header header;
    std::span<const std::byte> bytes;
    std::size_t sent;  ///< header and bytes
    bool done() const { return sent == sizeof(Header) + bytes.size(); }
  };
  struct Receive {
    int peer;
    std::uint64_t number;
    std::span<std::byte> bytes;
    std::uint64_t tag;
    bool done;
  };

  /// To every peer that no message is half sent to; as much as goes at once.
  void say_goodbye(std::string reason) {
    reason.resize(std::min<std::size_t>(reason.size(), 1000));
    const Header header{kMeshMagic, OperationKind::kGoodbye, 0, reason.size(), 0};
    const std::string message = std::string(reinterpret_cast<const char*>(&header), sizeof(header)) + reason;
    for (int rank = 0; rank < mesh_.world(); ++rank) {
      const bool half_sent = std::any_of(sends_.begin(), sends_.end(), [&](const Send& send) {
        return send.peer == rank && send.sent > 0 && !send.done();
      });
      if (peer(rank).socket.is_open() && !half_sent)
        ::send(peer(rank).socket.descriptor(), message.data(), message.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    }
  }

  Peer& peer(int rank) { return mesh_.peers_.at(static_cast<std::size_t>(rank)); }

  std::string where() const {
    const std::uint64_t number =
        receives_.empty() ? sends_.empty() ? 0 : sends_[0].header.number : receives_[0].number;
    return name_of(kind_) + " " + std::to_string(number) + " of group " + mesh_.options_.group + " on rank " +
           std::to_string(mesh_.options_.rank) + ": ";
  }

  [[noreturn]] void fail(TransportFault fault, const std::string& expected, const std::string& found) const {
    throw TransportError(fault, where() + "expected " + expected + ", found " + found);
  }

  void push(Send& send) {
    Peer& to = peer(send.peer);
    const std::size_t end = sizeof(Header) + (cut_ ? send.bytes.size() / 2 : send.bytes.size());
    while (send.sent < end && to.socket.is_open()) {
      const bool in_header = send.sent < sizeof(Header);
      const auto* from = in_header ? reinterpret_cast<const std::byte*>(&send.header) + send.sent
                                   : send.bytes.data() + (send.sent - sizeof(Header));
      const std::size_t count = (in_header ? sizeof(Header) : end) - send.sent;
      const ssize_t sent = ::send(to.socket.descriptor(), from, count, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (sent < 0 && errno != EAGAIN && errno != EINTR) {
        mesh_.take_in(send.peer);  // what it had sent before it went is still to be read
        if (to.closed.empty())
          to.closed = std::generic_category().message(errno);
        to.socket.close();
      }
      if (sent < 0)
        return;
      send.sent += static_cast<std::size_t>(sent);
    }
    if (cut_ && send.sent == end) {
      to.socket.close();
      fail(TransportFault::kTruncated, "to send a whole message", "the fault that a test asked for");
    }
  }

  void pick_up(Receive& receive) {
    Peer& from = peer(receive.peer);
    auto& box = kind_ == OperationKind::kPointToPoint ? from.point_to_point[receive.tag] : from.collective;
    if (receive.done || box.empty())
      return;
    const Header& header = box.front().header;
    if (header.kind != kind_ || header.number != receive.number || header.bytes != receive.bytes.size())
      fail(TransportFault::kMismatch,
           std::to_string(receive.bytes.size()) + " bytes from rank " + std::to_string(receive.peer),
           std::to_string(header.bytes) + " bytes of its " + name_of(header.kind) + " " +
               std::to_string(header.number) + "; every rank must run the same operations in the same order");
    std::copy(box.front().bytes.begin(), box.front().bytes.end(), receive.bytes.begin());
    box.pop_front();
    receive.done = true;
  }

  std::vector<int> peers_waited_for() const {
    std::vector<int> ranks;
    for (const Send& send : sends_)
      if (!send.done())
        ranks.push_back(send.peer);
    for (const Receive& receive : receives_)
      if (!receive.done)
        ranks.push_back(receive.peer);
    std::sort(ranks.begin(), ranks.end());
    ranks.erase(std::unique(ranks.begin(), ranks.end()), ranks.end());
    return ranks;
  }

  void refuse_closed(const std::vector<int>& waiting) {
    // Those that gave a reason come last: they stopped because of another.
    for (const bool told : {false, true})
      for (const int rank : waiting)
        if (peer(rank).goodbye.empty() != told && !peer(rank).socket.is_open())
          refuse(peer(rank), "rank " + std::to_string(rank));
  }

  [[noreturn]] void refuse(const Peer& gone, const std::string& who) {
    if (gone.header_got > 0)
      fail(TransportFault::kTruncated,
           "a message of " + std::to_string(gone.header.bytes) + " bytes from " + who,
           std::to_string(gone.got) + " of them, then " + gone.closed);
    const std::string reason = gone.goodbye.empty() ? gone.closed : "that it stopped: " + gone.goodbye;
    fail(TransportFault::kPeerClosed, who + " to take part",
         reason.empty() ? "this rank's connection closed" : reason);
  }

  /// Until something can be sent to one waited for or anything arrives from anyone.
  void poll(Deadline deadline, const std::vector<int>& waiting) {
    std::vector<pollfd> polls;
    std::vector<int> ranks;
    for (int rank = 0; rank < mesh_.world(); ++rank) {
      if (!peer(rank).socket.is_open())
        continue;
      const bool sending = std::any_of(sends_.begin(), sends_.end(),
                                       [&](const Send& send) { return send.peer == rank && !send.done(); });
      polls.push_back(
          {peer(rank).socket.descriptor(), static_cast<short>(sending ? POLLIN | POLLOUT : POLLIN), 0});
      ranks.push_back(rank);
    }
    const int left = milliseconds_left(deadline);
    const int ready = ::poll(polls.data(), polls.size(), left);
    if (ready == 0 && left == 0) {
      std::string late;
      for (const int rank : waiting) (late += " ") += std::to_string(rank);
      fail(TransportFault::kTimeout, "every rank within " + std::to_string(timeout_.count()) + " ms",
           "nothing more of rank" + late);
    }
    for (std::size_t i = 0; i < polls.size(); ++i)
      if (polls[i].revents & (POLLIN | POLLHUP | POLLERR))
        mesh_.take_in(ranks[i]);
  }

  Mesh& mesh_;
  OperationKind kind_;
  std::chrono::milliseconds timeout_;
  bool cut_;
  std::vector<Send> sends_;
  std::vector<Receive> receives_;
};

void Mesh::exchange(OperationKind kind, std::span<const Outgoing> out, std::span<const Incoming> in,
                    std::chrono::milliseconds timeout) {
  Exchange(*this, kind, out, in, timeout).run();
}

}  // namespace assay::kernels::fsdp
