// SPDX-License-Identifier: Apache-2.0
// Starting another program the POSIX way: one pipe for both of its outputs.
#include "harness/inspect/tool.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <stdexcept>

#include "harness/core/challenge.hpp"

extern char** environ;

namespace assay::harness {
namespace {

namespace fs = std::filesystem;

bool is_program(const fs::path& file) {
  return ::access(file.c_str(), X_OK) == 0 && !fs::is_directory(file);
}

bool has_partner(const fs::path& cuobjdump) {
  if (is_program(fs::canonical(cuobjdump).parent_path() / "nvdisasm")) {
    return true;
  }
  for (const fs::path& folder : folders_on_path()) {
    if (is_program(folder / "nvdisasm")) {
      return true;
    }
  }
  return false;
}

std::string read_all(int descriptor) {
  std::string text;
  std::array<char, 1 << 16> chunk;
  for (;;) {
    const ssize_t got = ::read(descriptor, chunk.data(), chunk.size());
    if (got > 0) {
      text.append(chunk.data(), static_cast<std::size_t>(got));
    } else if (got == 0 || errno != EINTR) {
      return text;
    }
  }
}

/// Starts `command` with both outputs going to `output`, which this process no longer needs afterwards.
pid_t start(const std::vector<std::string>& command, int output) {
  std::vector<char*> arguments;
  for (const std::string& argument : command) {
    arguments.push_back(const_cast<char*>(argument.c_str()));
  }
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, output, STDERR_FILENO);
  pid_t child = -1;
  const int error = posix_spawn(&child, arguments[0], &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  ::close(output);
  if (error != 0) {
    throw std::runtime_error("expected to start " + command[0] + ", found: " + std::strerror(error));
  }
  return child;
}

}  // namespace

std::vector<fs::path> folders_on_path() {
  std::vector<fs::path> folders;
  const char* path = std::getenv("PATH");
  for (std::string rest = path ? path : ""; !rest.empty();) {
    const std::size_t end = std::min(rest.find(':'), rest.size());
    if (end > 0) {
      folders.emplace_back(rest.substr(0, end));
    }
    rest.erase(0, end + 1);
  }
  return folders;
}

fs::path find_cuobjdump() {
  std::vector<fs::path> folders = folders_on_path();
  if (const char* home = std::getenv("CUDA_HOME")) {
    folders.push_back(fs::path(home) / "bin");
  }
  folders.emplace_back("/usr/local/cuda/bin");
#ifdef ASSAY_CUOBJDUMP
  folders.push_back(fs::path(ASSAY_CUOBJDUMP).parent_path());
#endif
  for (const fs::path& folder : folders) {
    if (const fs::path file = folder / "cuobjdump"; is_program(file) && has_partner(file)) {
      return file;
    }
  }
  throw Skip(
      "no cuobjdump (with nvdisasm) on PATH, in CUDA_HOME/bin, in /usr/local/cuda/bin or where this was "
      "built; "
      "ci/bootstrap.sh installs both");
}

std::string run_program(const std::vector<std::string>& command, int& exit_code) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    throw std::runtime_error(std::string("expected a pipe, found: ") + std::strerror(errno));
  }
  pid_t child = -1;
  try {
    child = start(command, ends[1]);
  } catch (...) {
    ::close(ends[0]);
    throw;
  }
  const std::string text = read_all(ends[0]);
  ::close(ends[0]);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (!WIFEXITED(status)) {
    throw std::runtime_error("expected " + command[0] + " to end by itself, found it ended by signal " +
                             std::to_string(WTERMSIG(status)));
  }
  exit_code = WEXITSTATUS(status);
  return text;
}

}  // namespace assay::harness
