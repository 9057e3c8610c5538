// SPDX-License-Identifier: Apache-2.0
// Ranks as processes of one test: forked before anything of torch ran, each with its own end to report.
#pragma once

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <string>
#include <torch/csrc/distributed/c10d/FileStore.hpp>
#include <vector>

#include "kernels/fsdp/group/socket_backend.hpp"

namespace assay::kernels::fsdp {

struct ProcessEnd {
  bool ok = false;
  int signal = 0;       ///< that killed it
  std::string message;  ///< of its exception or its failed expectations
  std::chrono::milliseconds took{0};
};

/// What a rank's body is given; a failure is an exception.
struct RankContext {
  int rank = 0, world = 1;
  std::string store_path;

  /// One for all groups: a FileStore takes its file with it when as many as there are ranks have closed it.
  c10::intrusive_ptr<c10d::Store> store() const {
    if (!store_)
      store_ = c10::make_intrusive<c10d::FileStore>(store_path, world);
    return store_;
  }
  template <class Backend = SocketBackend>
  c10::intrusive_ptr<Backend> group(const SocketOptions& options = {}) const {
    return c10::make_intrusive<Backend>(store(), rank, world, options);
  }

  mutable c10::intrusive_ptr<c10d::Store> store_ = {};
};

inline void require(bool condition, const std::string& message) {
  if (!condition)
    throw std::runtime_error(message);
}

/// Runs `body` in `world` processes, each of which ends with it. A process still there after `limit` is
/// killed.
inline std::vector<ProcessEnd> in_processes(int world, const std::function<void(const RankContext&)>& body,
                                            std::chrono::milliseconds limit = std::chrono::seconds(60)) {
  std::string folder = (std::filesystem::temp_directory_path() / "assay-ranks-XXXXXX").string();
  EXPECT_NE(mkdtemp(folder.data()), nullptr);
  struct Child {
    pid_t process;
    int pipe;
  };
  std::vector<Child> children;
  const auto begin = std::chrono::steady_clock::now();
  for (int rank = 0; rank < world; ++rank) {
    int ends[2];
    EXPECT_EQ(pipe(ends), 0);
    const pid_t child = fork();
    if (child == 0) {
      ::close(ends[0]);
      ::alarm(static_cast<unsigned>(limit.count() / 1000 + 1));
      std::string message;
      try {
        body({.rank = rank, .world = world, .store_path = folder + "/store"});
      } catch (const c10::Error& error) {
        message = error.what_without_backtrace();
      } catch (const std::exception& error) {
        message = error.what();
      }
      if (!message.empty() &&
          ::write(ends[1], message.data(), std::min<std::size_t>(message.size(), 4000)) < 0)
        ::_exit(3);
      ::_exit(message.empty() ? 0 : 1);
    }
    ::close(ends[1]);
    children.push_back({child, ends[0]});
  }
  std::vector<ProcessEnd> results;
  for (const auto& [process, pipe] : children) {
    ProcessEnd result;
    char piece[4096];
    for (ssize_t got = 0; (got = ::read(pipe, piece, sizeof(piece))) > 0;)
      result.message.append(piece, static_cast<std::size_t>(got));
    ::close(pipe);
    int status = 0;
    ::waitpid(process, &status, 0);
    result.ok = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    result.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    result.took =
        std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begin);
    results.push_back(std::move(result));
  }
  std::filesystem::remove_all(folder);
  return results;
}

inline void expect_all_ok(const std::vector<ProcessEnd>& ends) {
  for (std::size_t rank = 0; rank < ends.size(); ++rank)
    EXPECT_TRUE(ends[rank].ok) << "rank " << rank << ", signal " << ends[rank].signal << ": "
                               << ends[rank].message;
}

}  // namespace assay::kernels::fsdp
