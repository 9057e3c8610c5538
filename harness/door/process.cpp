// SPDX-License-Identifier: Apache-2.0
#include "harness/door/process.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <random>

#include "harness/core/interrupt.hpp"
#include "harness/door/process_memory.hpp"
#include "harness/door/spawn.hpp"

namespace assay::harness::door {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kTickMs = 5;              // how far memory can grow unseen: 50 MB at 10 GB/s
constexpr int kTicksPerGroupLook = 40;  // reading all of /proc takes milliseconds
constexpr std::size_t kLongestAnswer = std::size_t{1} << 20;
constexpr std::size_t kLastWords = 2000;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

/// RLIMIT_DATA on top of what a process has mapped. The watch acts first and says so; this stops what grows
/// faster than the watch looks.
std::int64_t growth_bytes(const Limits& limits) {
  return limits.memory_bytes + limits.memory_bytes / 2 + (std::int64_t{64} << 20);
}

// Writable parts of libraries are data whether they are touched or not: torch's alone are half a gigabyte.
constexpr std::int64_t kLibraryBytes = std::int64_t{4} << 30;

#ifdef ASSAY_SANITIZED
constexpr bool kCanLimitData = false;  // the sanitizer's shadow counts as data
#else
constexpr bool kCanLimitData = true;
#endif

std::string how_it_ended(int status) {
  if (WIFSIGNALED(status))
    return fmt::format("the process was ended by signal {} ({})", WTERMSIG(status),
                       strsignal(WTERMSIG(status)));
  return fmt::format("the process exited with status {} before it answered", WEXITSTATUS(status));
}

std::string fresh_mark() {
  std::random_device device;
  return fmt::format("ASSAY_CANDIDATE={:08x}{:08x}", device(), device());
}

std::string mebibytes(std::int64_t bytes) {
  return fmt::format("{} MiB", bytes >> 20);
}

}  // namespace

Process::Process(const Command& command, const Limits& limits)
    : limits_(limits),
      data_limit_(command.data_limit && kCanLimitData),
      shared_bytes_(static_cast<std::int64_t>(command.shared_bytes)),
      mark_(fresh_mark()) {
  const std::int64_t at_start = data_limit_ ? kLibraryBytes + growth_bytes(limits) : 0;
  const Spawned spawned = spawn(command.words, command.inherited_fds, mark_, at_start);
  pid_ = spawned.pid, requests_ = spawned.requests, answers_ = spawned.answers, errors_ = spawned.errors;
}

void Process::limit_growth() {
  if (!data_limit_)
    return;
  const auto bytes = static_cast<rlim_t>(memory_of(pid_).data + growth_bytes(limits_));
  const rlimit both{bytes, bytes};
  ::prlimit(pid_, RLIMIT_DATA, &both, nullptr);
}

Process::~Process() {
  if (!reaped_) {  // who was reaped left its number to others, and its group was ended then
    int status = 0;
    kill_all();
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
  }
  for (const int fd : {requests_, answers_, errors_}) ::close(fd);
}

std::string Process::exchange(const std::string& line, double limit_s) {
  thaw();
  const Clock::time_point begin = Clock::now();
  Clock::time_point looked = begin;
  std::string left = line + "\n";
  send_some(left);
  for (;;) {
    pollfd fds[3] = {{answers_closed_ ? -1 : answers_, POLLIN, 0},
                     {errors_, POLLIN, 0},
                     {left.empty() ? -1 : requests_, POLLOUT, 0}};
    ::poll(fds, 3, kTickMs);
    if (fds[2].revents != 0)
      send_some(left);
    if (fds[1].revents != 0)
      read_complaints();
    if (fds[0].revents != 0)
      read_answers();
    if (const std::size_t end = received_.find('\n'); end != std::string::npos) {
      std::string answer = received_.substr(0, end);
      received_.erase(0, end + 1);
      return answer;
    }
    if (!answers_closed_ && seconds_since(looked) < 1e-3 * kTickMs)
      continue;  // looking takes longer than a short call
    looked = Clock::now();
    throw_if_interrupted();
    throw_if_dead();
    watch_memory();
    if (received_.size() > kLongestAnswer)
      end_with(
          Failed{fmt::format("protocol: expected a line, found {} bytes without an end", received_.size())});
    if (seconds_since(begin) > limit_s)
      end_with(TimedOut{fmt::format("no answer within {:g} s; --time-limit allows more", limit_s)});
  }
}

void Process::send_some(std::string& left) {
  const ssize_t sent = ::send(requests_, left.data(), left.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent > 0)
    left.erase(0, static_cast<std::size_t>(sent));
  else if (sent < 0 && errno != EAGAIN && errno != EINTR)
    left.clear();  // it does not listen; whether it lives is asked next
}

void Process::read_answers() {
  char part[65536];
  const ssize_t got = ::read(answers_, part, sizeof(part));
  if (got > 0)
    received_.append(part, static_cast<std::size_t>(got));
  else if (got == 0 || (errno != EAGAIN && errno != EINTR))
    answers_closed_ = true;
}

void Process::read_complaints() {
  char part[65536];
  ssize_t got = 0;
  while ((got = ::read(errors_, part, sizeof(part))) > 0) {
    complaints_.append(part, static_cast<std::size_t>(got));
    if (complaints_.size() > kLastWords)
      complaints_.erase(0, complaints_.size() - kLastWords);
  }
}

void Process::watch_memory() {
  if (++ticks_ % kTicksPerGroupLook == 0)
    seen_bytes_ = bytes_of_group(pid_, shared_bytes_);
  else
    seen_bytes_ = bytes_of(memory_of(pid_), shared_bytes_);
  if (seen_bytes_ > limits_.memory_bytes)
    end_with(OutOfMemoryOutcome{fmt::format("the process took {}; --memory-limit allows {}",
                                            mebibytes(seen_bytes_), mebibytes(limits_.memory_bytes))});
}

bool Process::reap(int& status) {
  reaped_ = reaped_ || ::waitpid(pid_, &status, WNOHANG) == pid_;
  return reaped_;
}

void Process::throw_if_dead() {
  int status = 0;
  // A process that ends closes its answers a moment before it can be waited for.
  for (int tries = 0; !reap(status) && answers_closed_; ++tries) {
    if (tries == 100)
      end_with(Failed{"protocol: expected an answer, found its standard output closed"});
    ::usleep(2000);
  }
  if (!reaped_)
    return;
  read_complaints();
  const bool near_limit = seen_bytes_ > limits_.memory_bytes / 10 * 9;
  end_with(
      Failed{how_it_ended(status) + (near_limit ? "; its memory stood at " + mebibytes(seen_bytes_) : "")});
}

/// What left the group still carries the mark, unless it was taken off on purpose.
void Process::kill_all() const {
  ::kill(-pid_, SIGKILL);
  for (const pid_t pid : processes_with(mark_)) ::kill(pid, SIGKILL);
}

void Process::end_with(Outcome outcome) {
  kill_all();
  if (auto* failed = std::get_if<Failed>(&outcome))
    failed->reason += last_words();
  throw Ended(std::move(outcome));
}

/// What it wrote to stderr, as one line.
std::string Process::last_words() const {
  std::string text = complaints_;
  for (char& c : text) c = c == '\n' || c == '\r' || c == '\t' ? ' ' : c;
  while (!text.empty() && text.back() == ' ') text.pop_back();
  return text.empty() ? "" : "; it wrote: " + text;
}

void Process::freeze() {
  if (frozen_)
    return;
  ::kill(-pid_, SIGSTOP);
  for (int tries = 0; tries < 10000; ++tries) {  // two seconds
    int status = 0;
    const pid_t changed = ::waitpid(pid_, &status, WNOHANG | WUNTRACED);
    frozen_ = changed == pid_ && WIFSTOPPED(status);
    if (frozen_)
      return;
    if (changed == pid_) {
      reaped_ = true;
      read_complaints();
      end_with(Failed{how_it_ended(status)});
    }
    ::usleep(tries < 50 ? 10 : 200);
  }
  end_with(Failed{"the process could not be stopped to look at what it wrote"});
}

void Process::thaw() {
  if (frozen_)
    ::kill(-pid_, SIGCONT);
  frozen_ = false;
}

}  // namespace assay::harness::door
