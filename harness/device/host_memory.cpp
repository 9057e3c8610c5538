// SPDX-License-Identifier: Apache-2.0
// Memory of the host, as the kernel and the control group (both versions) grant it.
#include <algorithm>
#include <limits>
#include <string>

#include "harness/device/host_facts.hpp"

namespace assay::harness {
namespace {

std::size_t meminfo_bytes(std::string_view key) {
  const std::string text = read_text("/proc/meminfo");
  const std::string_view value = value_of(text, key, ':');  // "65823456 kB"
  return size_from(std::string(value.substr(0, value.find(' '))) + "K");
}

struct ControlGroup {
  std::size_t limit = std::numeric_limits<std::size_t>::max();
  std::size_t used = 0;  ///< without cached files, which the kernel drops when memory is needed
};

ControlGroup read_control_group(const std::string& folder, const std::string& limit, const std::string& used,
                                const std::string& cached) {
  ControlGroup group;
  const std::string limit_text = read_text(folder + limit);
  const std::string used_text = read_text(folder + used);
  const std::string stat = read_text(folder + "memory.stat");
  if (const std::size_t bytes = size_from(trim(limit_text)); bytes > 0) {  // "max" reads as 0
    group.limit = bytes;
  }
  const std::size_t files = size_from(value_of(stat, cached, ' '));
  group.used = std::max(size_from(trim(used_text)), files) - files;
  return group;
}

ControlGroup control_group() {
  const ControlGroup second =
      read_control_group("/sys/fs/cgroup/", "memory.max", "memory.current", "inactive_file");
  const ControlGroup first = read_control_group("/sys/fs/cgroup/memory/", "memory.limit_in_bytes",
                                                "memory.usage_in_bytes", "total_inactive_file");
  return second.limit < first.limit ? second : first;
}

}  // namespace

std::size_t host_memory_bytes() {
  return std::min(meminfo_bytes("MemTotal"), control_group().limit);
}

std::size_t available_host_bytes() {
  const ControlGroup group = control_group();
  return std::min(meminfo_bytes("MemAvailable"), std::max(group.limit, group.used) - group.used);
}

}  // namespace assay::harness
