// SPDX-License-Identifier: Apache-2.0
#include "harness/door/process_memory.hpp"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

namespace assay::harness::door {
namespace {

std::string folder_of(pid_t pid) {
  return "/proc/" + std::to_string(pid);
}

/// "VmRSS:     1234 kB" as bytes, where the line starts with `name`.
void take(std::string_view line, std::string_view name, std::int64_t& bytes) {
  if (!line.starts_with(name))
    return;
  const std::size_t digits = line.find_first_of("0123456789");
  if (digits == std::string_view::npos)
    return;
  std::int64_t kib = 0;
  std::from_chars(line.data() + digits, line.data() + line.size(), kib);
  bytes = kib * 1024;
}

std::vector<pid_t> all_processes() {
  std::vector<pid_t> found;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
    const std::string name = entry.path().filename();
    pid_t pid = 0;
    if (std::from_chars(name.data(), name.data() + name.size(), pid).ec == std::errc())
      found.push_back(pid);
  }
  return found;
}

}  // namespace

ProcessMemory memory_of(pid_t pid) {
  ProcessMemory memory;
  memory.anonymous = -1;
  std::ifstream file(folder_of(pid) + "/status");
  for (std::string line; std::getline(file, line);) {
    take(line, "VmRSS:", memory.resident);
    take(line, "VmHWM:", memory.peak);
    take(line, "VmData:", memory.data);
    take(line, "RssAnon:", memory.anonymous);
    take(line, "RssShmem:", memory.shared);
  }
  if (memory.anonymous < 0)  // a kernel that tells no kinds apart: all of it may be its own
    memory.anonymous = 0, memory.shared = memory.resident;
  return memory;
}

std::int64_t bytes_of(const ProcessMemory& memory, std::int64_t known_shared) {
  return memory.anonymous + std::max<std::int64_t>(0, memory.shared - known_shared);
}

std::int64_t bytes_of_group(pid_t group, std::int64_t known_shared) {
  std::int64_t total = 0;
  for (const pid_t pid : all_processes()) {
    if (::getpgid(pid) == group)
      total += bytes_of(memory_of(pid), known_shared);
  }
  return total;
}

std::vector<pid_t> processes_with(const std::string& entry) {
  std::vector<pid_t> found;
  for (const pid_t pid : all_processes()) {
    std::ifstream file(folder_of(pid) + "/environ", std::ios::binary);
    for (std::string line; std::getline(file, line, '\0');) {
      if (line == entry)
        found.push_back(pid);
    }
  }
  return found;
}

bool reset_peak(pid_t pid) {
  std::ofstream file(folder_of(pid) + "/clear_refs");
  file << "5";
  file.close();
  return file.good();
}

}  // namespace assay::harness::door
