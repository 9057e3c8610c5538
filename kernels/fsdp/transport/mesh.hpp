// SPDX-License-Identifier: Apache-2.0
// Every rank connected to every other, and messages with a header that says to which operation they belong:
// two ranks that are not in the same operation learn so instead of mixing their bytes.
//
// An operation waits with a deadline, and while it waits it takes in whatever arrives from anyone: two ranks
// that both send large messages to each other do not block, whatever the sockets hold.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "kernels/fsdp/transport/socket.hpp"

namespace assay::kernels::fsdp {

enum class OperationKind : std::uint32_t {
  kBroadcast,
  kAllGather,
  kAllReduce,
  kReduceScatter,
  kBarrier,
  kPointToPoint,  ///< ranks need not agree on its number: counted for each pair, direction and tag
  kGoodbye,  ///< no operation: why a rank stops, told to its peers so that they name the cause and not this
             ///< rank
};
std::string name_of(OperationKind kind);

/// First word of every greeting and message.
inline constexpr std::uint32_t kMeshMagic = 0x41534159;

/// `tag`: of point-to-point messages. Those of one pair, direction and tag keep their order; a message of
/// another tag may wait.
struct Outgoing {
  int peer = 0;
  std::span<const std::byte> bytes;
  std::uint32_t tag = 0;
};
struct Incoming {
  int peer = 0;
  std::span<std::byte> bytes;
  std::uint32_t tag = 0;
};

/// For tests: at operation `at` (counted from 0) send half of the first message and close that connection.
struct TruncateFault {
  std::int64_t at = -1;
};

class Mesh {
 public:
  struct Options {
    int rank = 0, world = 1;
    std::string group = "group";  ///< in messages
    std::chrono::milliseconds connect_timeout{30000};
    TruncateFault truncate = {};
  };

  /// `addresses` of all ranks' listeners, this one's among them; the higher rank connects to the lower.
  /// Throws TransportError naming the ranks that did not come.
  Mesh(Listener& listener, const std::vector<std::string>& addresses, const Options& options);

  Mesh(const Mesh&) = delete;
  Mesh& operator=(const Mesh&) = delete;
  ~Mesh() { close(); }

  int rank() const { return options_.rank; }
  int world() const { return options_.world; }

  /// Sends and receives all of it, or throws TransportError; the mesh is of no use then. At most one message
  /// to and one from each peer, none with oneself. Messages without bytes are sent too.
  void exchange(OperationKind kind, std::span<const Outgoing> out, std::span<const Incoming> in,
                std::chrono::milliseconds timeout);

  /// Closes all connections: peers that wait for this rank learn it at once. Takes up to 100 ms where peers
  /// stay.
  void close();

 private:
  struct Header {
    std::uint32_t magic = kMeshMagic;
    OperationKind kind{};
    std::uint64_t number = 0, bytes = 0;
    std::uint64_t tag = 0;
  };
  struct Message {
    Header header;
    std::vector<std::byte> bytes;
  };
  struct Peer {
    Socket socket;
    Header header;                        ///< of the message on its way in
    std::size_t header_got = 0, got = 0;  ///< of its header, of its bytes
    std::vector<std::byte> partial;
    std::deque<Message> collective;
    std::map<std::uint64_t, std::deque<Message>> point_to_point;  ///< by tag
    std::map<std::uint64_t, std::uint64_t> sent, received;        ///< point-to-point messages, by tag
    std::string closed;                                           ///< how, where the connection ended
    std::string goodbye;                                          ///< why, where the rank told
  };
  class Exchange;

  void connect(Listener& listener, const std::vector<std::string>& addresses);
  void take_in(int peer);
  bool advance(Peer& peer, std::size_t bytes);

  Options options_;
  std::vector<Peer> peers_;
  std::uint64_t collectives_ = 0;
  std::int64_t operations_ = 0;
};

}  // namespace assay::kernels::fsdp
