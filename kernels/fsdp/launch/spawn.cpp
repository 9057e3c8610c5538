// SPDX-License-Identifier: Apache-2.0
#include "kernels/fsdp/launch/spawn.hpp"

#include <arpa/inet.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <map>
#include <stdexcept>
#include <system_error>
#include <thread>

namespace assay::kernels::fsdp {
namespace {

using Clock = std::chrono::steady_clock;

[[noreturn]] void fail(const char* what) {
  throw std::system_error(errno, std::generic_category(), what);
}

/// One that nobody listened on a moment ago.
int free_port() {
  const int descriptor = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  const bool found = descriptor >= 0 &&
                     ::bind(descriptor, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
                     ::getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &size) == 0;
  if (descriptor >= 0)
    ::close(descriptor);
  if (!found)
    fail("run_ranks: expected a free port on 127.0.0.1");
  return ntohs(address.sin_port);
}

pid_t start(const std::vector<std::string>& program, const std::map<std::string, std::string>& variables) {
  std::vector<char*> arguments;
  for (const std::string& argument : program) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  const pid_t parent = ::getpid(), child = ::fork();
  if (child != 0)
    return child;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent)  // it died before the line above
    ::_exit(127);
  for (const auto& [name, value] : variables) ::setenv(name.c_str(), value.c_str(), 1);
  ::execvp(arguments[0], arguments.data());
  ::_exit(127);
}

std::string how_it_ended(int status) {
  if (WIFSIGNALED(status))
    return "signal " + std::to_string(WTERMSIG(status)) + " (" + strsignal(WTERMSIG(status)) + ")";
  return "exit code " + std::to_string(WEXITSTATUS(status));
}

/// The children that still run, and what is to be done to them when.
class Family {
 public:
  explicit Family(std::chrono::milliseconds grace) : grace_(grace) {}
  Family(const Family&) = delete;
  Family& operator=(const Family&) = delete;
  ~Family() {  // something threw: leave nobody behind
    signal_all(SIGKILL);
    for (const auto& [child, rank] : running_) ::waitpid(child, nullptr, 0);
  }

  void add(pid_t child, int rank) { running_[child] = rank; }

  std::vector<RankEnd> wait_for_all() {
    while (!running_.empty()) {
      if (!reap())
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
      stop_late_ones();
    }
    return std::move(ends_);
  }

 private:
  bool reap() {
    for (auto each = running_.begin(); each != running_.end(); ++each) {
      int status = 0;
      if (::waitpid(each->first, &status, WNOHANG) != each->first)
        continue;
      const bool ok = WIFEXITED(status) && WEXITSTATUS(status) == 0;
      ends_.push_back({each->second, ok, how_it_ended(status), stopping_ && WIFSIGNALED(status)});
      running_.erase(each);
      if (!ok && !failed_)
        failed_ = true, failed_at_ = Clock::now();
      return true;
    }
    return false;
  }

  void stop_late_ones() {
    if (!failed_)
      return;
    const auto since = Clock::now() - failed_at_;
    if (since > 2 * grace_)
      signal_all(SIGKILL);
    else if (since > grace_ && !stopping_)
      signal_all(SIGTERM);
    stopping_ = stopping_ || since > grace_;
  }

  void signal_all(int number) const {
    for (const auto& [child, rank] : running_) ::kill(child, number);
  }

  std::chrono::milliseconds grace_;
  std::map<pid_t, int> running_;
  std::vector<RankEnd> ends_;
  bool failed_ = false, stopping_ = false;
  Clock::time_point failed_at_;
};

}  // namespace

std::vector<RankEnd> run_ranks(const std::vector<std::string>& program, const SpawnOptions& options) {
  if (options.ranks < 1 || program.empty())
    throw std::invalid_argument("run_ranks: expected a program and at least one rank, found " +
                                std::to_string(options.ranks));
  const std::string world = std::to_string(options.ranks);
  std::map<std::string, std::string> variables = {{"WORLD_SIZE", world},
                                                  {"LOCAL_WORLD_SIZE", world},
                                                  {"MASTER_ADDR", "127.0.0.1"},
                                                  {"MASTER_PORT", std::to_string(free_port())},
                                                  {"TORCHELASTIC_RUN_ID", std::to_string(::getpid())}};
  Family family(options.grace);
  for (int rank = 0; rank < options.ranks; ++rank) {
    variables["RANK"] = variables["LOCAL_RANK"] = std::to_string(rank);
    const pid_t child = start(program, variables);
    if (child < 0)
      fail("run_ranks: expected to start a process");
    family.add(child, rank);
  }
  return family.wait_for_all();
}

}  // namespace assay::kernels::fsdp
