// SPDX-License-Identifier: Apache-2.0
#include "harness/door/process_memory.hpp"

#include <unistd.h>

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

}  // namespace

ProcessMemory memory_of(pid_t pid) {
  ProcessMemory memory;
  std::ifstream file(folder_of(pid) + "/status");
  for (std::string line; std::getline(file, line);) {
    take(line, "VmRSS:", memory.resident);
    take(line, "VmHWM:", memory.peak);
    take(line, "VmData:", memory.data);
    take(line, "RssAnon:", memory.anonymous);
  }
  return memory;
}

std::int64_t anonymous_bytes_of_group(pid_t group) {
  std::int64_t total = 0;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
    const std::string name = entry.path().filename();
    pid_t pid = 0;
    if (std::from_chars(name.data(), name.data() + name.size(), pid).ec != std::errc())
      continue;
    if (::getpgid(pid) == group)
      total += memory_of(pid).anonymous;
  }
  return total;
}

bool reset_peak(pid_t pid) {
  std::ofstream file(folder_of(pid) + "/clear_refs");
  file << "5";
  file.close();
  return file.good();
}

}  // namespace assay::harness::door
