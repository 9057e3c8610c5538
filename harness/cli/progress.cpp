// SPDX-License-Identifier: Apache-2.0
#include "harness/cli/progress.hpp"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdio>

namespace assay::harness::cli {
namespace {

int columns() {
  winsize size{};
  return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 20 ? size.ws_col : 100;
}

}  // namespace

Progress::Progress() : terminal_(isatty(STDERR_FILENO) == 1), start_(std::chrono::steady_clock::now()) {}
Progress::~Progress() {
  clear();
}

void Progress::clear() {
  if (terminal_ && shown_)
    std::fputs("\r\033[K", stderr);
  shown_ = false;
}

void Progress::show(const std::string& what, int done, int total) {
  const auto seconds =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - start_).count();
  const std::string line = fmt::format("[{}/{}  {}:{:02}] {}", done, total, seconds / 60, seconds % 60, what);
  if (terminal_) {
    clear();
    std::fputs(line.substr(0, static_cast<std::size_t>(columns() - 1)).c_str(), stderr);
    std::fflush(stderr);
    shown_ = true;
  } else if (done != last_done_) {
    std::fprintf(stderr, "%s\n", line.c_str());
  }
  last_done_ = done;
}

void Progress::print(const std::string& line) {
  clear();
  std::puts(line.c_str());
  std::fflush(stdout);
}

}  // namespace assay::harness::cli
