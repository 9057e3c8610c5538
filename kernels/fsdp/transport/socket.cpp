// SPDX-License-Identifier: Apache-2.0
#include "kernels/fsdp/transport/socket.hpp"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <system_error>

#include "kernels/fsdp/transport/error.hpp"

namespace assay::kernels::fsdp {
namespace {

[[noreturn]] void fail(const std::string& what, int code = errno) {
  throw TransportError(TransportFault::kSystem,
                       "socket: expected to " + what + ", found: " + std::generic_category().message(code));
}

Socket open_socket() {
  Socket socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket.is_open())
    fail("open one");
  return socket;
}

sockaddr_in parse(const std::string& address) {
  sockaddr_in parsed{};
  parsed.sin_family = AF_INET;
  const std::size_t colon = std::min(address.rfind(':'), address.size());
  std::uint16_t port = 0;
  const char *first = address.data() + std::min(colon + 1, address.size()),
             *last = address.data() + address.size();
  const auto [end, error] = std::from_chars(first, last, port);
  if (error != std::errc() || end != last ||
      ::inet_pton(AF_INET, address.substr(0, colon).c_str(), &parsed.sin_addr) != 1)
    throw std::invalid_argument("socket: expected an address such as 127.0.0.1:4000, found '" + address +
                                "'");
  parsed.sin_port = htons(port);
  return parsed;
}

void wait_for(const Socket& socket, short events, Deadline deadline, const char* what) {
  pollfd poll{socket.descriptor(), events, 0};
  int ready = 0;
  do ready = ::poll(&poll, 1, milliseconds_left(deadline));
  while (ready < 0 && errno == EINTR);
  if (ready < 0)
    fail(what);
  if (ready == 0)
    throw TransportError(TransportFault::kTimeout,
                         std::string("socket: expected to ") + what + " in time, found nothing");
}

}  // namespace

int milliseconds_left(Deadline deadline) {
  const auto left =
      std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now()).count();
  return static_cast<int>(std::clamp<std::int64_t>(left, 0, 1'000'000'000));
}

void Socket::close() {
  if (descriptor_ >= 0)
    ::close(descriptor_);
  descriptor_ = -1;
}

Listener::Listener(const std::string& host) : socket_(open_socket()) {
  sockaddr_in address = parse(host + ":0");
  socklen_t size = sizeof(address);
  if (::bind(socket_.descriptor(), reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      ::listen(socket_.descriptor(), 128) != 0 ||
      ::getsockname(socket_.descriptor(), reinterpret_cast<sockaddr*>(&address), &size) != 0)
    fail("listen on " + host);
  address_ = host + ":" + std::to_string(ntohs(address.sin_port));
}

Socket Listener::accept(Deadline deadline) {
  wait_for(socket_, POLLIN, deadline, "accept a connection");
  Socket accepted(::accept4(socket_.descriptor(), nullptr, nullptr, SOCK_CLOEXEC));
  if (!accepted.is_open())
    fail("accept a connection");
  const int on = 1;
  ::setsockopt(accepted.descriptor(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  return accepted;
}

Socket connect_to(const std::string& address) {
  const sockaddr_in parsed = parse(address);
  Socket socket = open_socket();
  if (::connect(socket.descriptor(), reinterpret_cast<const sockaddr*>(&parsed), sizeof(parsed)) != 0)
    fail("connect to " + address);
  const int on = 1;
  ::setsockopt(socket.descriptor(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  return socket;
}

void send_all(const Socket& socket, const void* bytes, std::size_t count, Deadline deadline) {
  const char* next = static_cast<const char*>(bytes);
  while (count > 0) {
    wait_for(socket, POLLOUT, deadline, "send");
    const ssize_t sent = ::send(socket.descriptor(), next, count, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno != EINTR && errno != EAGAIN)
      fail("send");
    next += std::max<ssize_t>(sent, 0), count -= static_cast<std::size_t>(std::max<ssize_t>(sent, 0));
  }
}

void receive_all(const Socket& socket, void* bytes, std::size_t count, Deadline deadline) {
  char* next = static_cast<char*>(bytes);
  while (count > 0) {
    wait_for(socket, POLLIN, deadline, "receive");
    const ssize_t received = ::recv(socket.descriptor(), next, count, MSG_DONTWAIT);
    if (received == 0)
      throw TransportError(TransportFault::kPeerClosed,
                           "socket: expected a greeting, found a closed connection");
    if (received < 0 && errno != EINTR && errno != EAGAIN)
      fail("receive");
    next += std::max<ssize_t>(received, 0), count -= static_cast<std::size_t>(std::max<ssize_t>(received, 0));
  }
}

}  // namespace assay::kernels::fsdp
