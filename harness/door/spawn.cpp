// SPDX-License-Identifier: Apache-2.0
// Between fork and exec only async-signal-safe calls: other threads' locks may be held forever in the copy.
#include "harness/door/spawn.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <utility>

namespace assay::harness::door {
namespace {

constexpr int kCannotExec = 127;  // as shells have it

void require(bool done, const char* what) {
  if (!done)
    throw std::runtime_error(std::string("cannot start a process: ") + what + ": " + std::strerror(errno));
}

/// A socket pair, not a pipe: writing to a dead process must be an error, not SIGPIPE.
struct Channel {
  int ours = -1, theirs = -1;
  Channel() {
    int ends[2];
    require(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0, "socketpair");
    ours = ends[0], theirs = ends[1];
  }
  ~Channel() {
    if (ours >= 0)
      ::close(ours);
    ::close(theirs);
  }
  Channel(const Channel&) = delete;
  int keep_ours() {
    ::fcntl(ours, F_SETFL, O_NONBLOCK);
    return std::exchange(ours, -1);
  }
};

void limit(int resource, rlim_t value) {
  const rlimit both{value, value};
  ::setrlimit(static_cast<__rlimit_resource>(resource), &both);
}

/// Every open file but the first three ends with exec.
void keep_files_here() {
  constexpr int kMost = 65536;  // where the kernel is older than 5.11
  if (::close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) == 0)
    return;
  for (int fd = 3; fd < kMost; ++fd) ::fcntl(fd, F_SETFD, FD_CLOEXEC);
}

struct Plan {
  char* const* arguments;
  char* const* environment;
  const int* inherited;
  std::size_t inherited_count;
  std::int64_t data_bytes;
  int standard[3];
  pid_t parent;
};

[[noreturn]] void become(const Plan& plan) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != plan.parent)
    ::_exit(kCannotExec);  // this process ended before the line above
  for (const int signal : {SIGINT, SIGTERM, SIGPIPE}) ::signal(signal, SIG_DFL);
  limit(RLIMIT_CORE, 0);
  if (plan.data_bytes > 0)
    limit(RLIMIT_DATA, static_cast<rlim_t>(plan.data_bytes));
  for (int i = 0; i < 3; ++i) ::dup2(plan.standard[i], i);
  keep_files_here();
  for (std::size_t i = 0; i < plan.inherited_count; ++i) ::fcntl(plan.inherited[i], F_SETFD, 0);
  ::execve(plan.arguments[0], plan.arguments, plan.environment);
  const char text[] = "cannot execute the program\n";
  static_cast<void>(!::write(2, text, sizeof(text) - 1));
  ::_exit(kCannotExec);
}

}  // namespace

Spawned spawn(const std::vector<std::string>& words, const std::vector<int>& inherited,
              const std::string& mark, std::int64_t data_bytes) {
  std::vector<std::string> kept = words;
  std::string kept_mark = mark;
  std::vector<char*> arguments, environment;
  for (std::string& word : kept) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  for (char** entry = environ; *entry != nullptr; ++entry) environment.push_back(*entry);
  environment.push_back(kept_mark.data());
  environment.push_back(nullptr);
  Channel requests, answers, errors;
  const Plan plan{arguments.data(), environment.data(), inherited.data(),
                  inherited.size(), data_bytes,         {requests.theirs, answers.theirs, errors.theirs},
                  ::getpid()};
  const pid_t pid = ::fork();
  require(pid >= 0, "fork");
  if (pid == 0)
    become(plan);
  ::setpgid(pid, pid);  // whoever comes first
  return {pid, requests.keep_ours(), answers.keep_ours(), errors.keep_ours()};
}

}  // namespace assay::harness::door
