// SPDX-License-Identifier: Apache-2.0
// TCP sockets that close themselves.
#pragma once

#include <chrono>
#include <string>
#include <utility>

namespace assay::kernels::fsdp {

using Deadline = std::chrono::steady_clock::time_point;

/// For poll: what is left until `deadline`, at least 0, rounded up.
int milliseconds_left(Deadline deadline);

class Socket {
 public:
  Socket() = default;
  explicit Socket(int descriptor) : descriptor_(descriptor) {}
  Socket(Socket&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  Socket& operator=(Socket&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  ~Socket() { close(); }

  int descriptor() const { return descriptor_; }
  bool is_open() const { return descriptor_ >= 0; }
  void close();

 private:
  int descriptor_ = -1;
};

/// Listens on a free port of `host`, an IPv4 address of this machine.
class Listener {
 public:
  explicit Listener(const std::string& host = "127.0.0.1");
  /// "host:port", for connect_to.
  const std::string& address() const { return address_; }
  /// The next connection. Throws TransportError kTimeout at the deadline.
  Socket accept(Deadline deadline);

 private:
  Socket socket_;
  std::string address_;
};

/// Throws TransportError kSystem for an address nobody listens on, std::invalid_argument for one that is
/// none.
Socket connect_to(const std::string& address);

/// For the few bytes of a handshake: all of `bytes`, or TransportError.
void send_all(const Socket& socket, const void* bytes, std::size_t count, Deadline deadline);
void receive_all(const Socket& socket, void* bytes, std::size_t count, Deadline deadline);

}  // namespace assay::kernels::fsdp
