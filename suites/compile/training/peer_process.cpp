// SPDX-License-Identifier: Apache-2.0
#include "suites/compile/training/peer_process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <stdexcept>

#include "harness/core/interrupt.hpp"

namespace assay::suites::compile {
namespace {

using Clock = std::chrono::steady_clock;
constexpr int kLookEveryMs = 200;  // for Ctrl-C

void check_posix(bool good, const std::string& what) {
  if (!good)
    throw std::runtime_error("expected " + what + ", found: " + std::strerror(errno));
}

std::string how_it_ended(int status) {
  if (WIFSIGNALED(status))
    return "ended by signal " + std::to_string(WTERMSIG(status));
  return "ended with status " + std::to_string(WEXITSTATUS(status));
}

}  // namespace

PeerProcess::PeerProcess(const std::vector<std::string>& command) : name_(command.at(0)) {
  // Sockets, because writing to one whose reader is gone can be told not to raise a signal.
  std::array<int, 2> in{}, out{};
  check_posix(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, in.data()) == 0, "a channel");
  check_posix(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, out.data()) == 0, "a channel");
  posix_spawn_file_actions_t files{};
  ::posix_spawn_file_actions_init(&files);
  ::posix_spawn_file_actions_adddup2(&files, in[1], 0);
  ::posix_spawn_file_actions_adddup2(&files, out[1], 1);
  std::vector<char*> words;
  for (const std::string& word : command) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  const int error = ::posix_spawnp(&child_, words[0], &files, nullptr, words.data(), environ);
  ::posix_spawn_file_actions_destroy(&files);
  ::close(in[1]), ::close(out[1]);
  in_ = in[0], out_ = out[0];
  if (error != 0) {
    ::close(in_), ::close(out_);
    throw std::runtime_error("expected to start " + name_ + ", found: " + std::strerror(error));
  }
}

PeerProcess::~PeerProcess() {
  ::close(in_), ::close(out_);
  if (child_ > 0) {
    ::kill(child_, SIGKILL);
    while (::waitpid(child_, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
}

void PeerProcess::say(const std::string& line) {
  const std::string text = line + "\n";
  for (std::size_t sent = 0; sent < text.size();) {
    const ssize_t n = ::send(in_, text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
    if (n < 0 && errno != EINTR)
      ended();
    sent += n > 0 ? static_cast<std::size_t>(n) : 0;
  }
}

std::string PeerProcess::hear(std::chrono::seconds limit) {
  const Clock::time_point last = Clock::now() + limit;
  for (;;) {
    if (const std::size_t end = heard_.find('\n'); end != std::string::npos) {
      std::string line = heard_.substr(0, end);
      heard_.erase(0, end + 1);
      return line;
    }
    harness::throw_if_interrupted();
    if (Clock::now() >= last)
      throw std::runtime_error("expected an answer of " + name_ + " within " + std::to_string(limit.count()) +
                               " s, found none");
    pollfd ready{.fd = out_, .events = POLLIN, .revents = 0};
    if (::poll(&ready, 1, kLookEveryMs) <= 0)
      continue;
    std::array<char, 4096> part{};
    const ssize_t n = ::recv(out_, part.data(), part.size(), 0);
    if (n == 0 || (n < 0 && errno != EINTR))
      ended();
    if (n > 0)
      heard_.append(part.data(), static_cast<std::size_t>(n));
  }
}

void PeerProcess::ended() {
  int status = 0;
  while (::waitpid(child_, &status, 0) < 0 && errno == EINTR) {
  }
  child_ = -1;
  throw std::runtime_error("expected an answer of " + name_ + ", found that it " + how_it_ended(status));
}

}  // namespace assay::suites::compile
