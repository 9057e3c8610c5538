// SPDX-License-Identifier: Apache-2.0
// Processor and caches from /proc and /sys. Whatever is missing (containers hide files) leaves a value out,
// and never fails.
#include "harness/device/host_facts.hpp"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <sstream>

namespace assay::harness {
namespace {

std::set<std::string> words_of(std::string_view text) {
  std::istringstream stream{std::string(text)};
  return {std::istream_iterator<std::string>(stream), {}};
}

struct Cache {
  int level = 0;
  std::size_t bytes = 0;
  std::string shared_with;
};

std::vector<Cache> data_caches_of(int cpu) {
  std::vector<Cache> caches;
  for (int index = 0; index < 8; ++index) {
    const std::string folder =
        "/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/cache/index" + std::to_string(index) + "/";
    const std::string type = read_text(folder + "type");
    const std::string level = read_text(folder + "level");
    if (type.starts_with("Data") || type.starts_with("Unified")) {
      caches.push_back({level.empty() ? 0 : level[0] - '0', size_from(trim(read_text(folder + "size"))),
                        read_text(folder + "shared_cpu_list")});
    }
  }
  return caches;
}

struct VectorSet {
  const char* name;
  std::vector<std::string> needs;
};

/// Best first; what each set needs as in Highway 1.0's detection.
const std::vector<VectorSet>& vector_sets() {
  static const std::vector<std::string> avx3 = {"avx2", "fma", "avx512f", "avx512vl", "avx512dq", "avx512bw"};
  static const auto plus = [](std::vector<std::string> base, const std::vector<std::string>& more) {
    base.insert(base.end(), more.begin(), more.end());
    return base;
  };
  static const std::vector<std::string> avx3_dl =
      plus(avx3, {"avx512_vnni", "vpclmulqdq", "avx512vbmi", "avx512_vbmi2", "vaes", "avx512_vpopcntdq",
                  "avx512_bitalg", "gfni"});
  static const std::vector<VectorSet> sets = {
      {"avx3_spr", plus(avx3_dl, {"avx512_fp16"})},
      {"avx3_dl", avx3_dl},
      {"avx3", avx3},
      {"avx2", {"avx2", "fma"}},
      {"sse4", {"sse4_1", "sse4_2"}},
      {"ssse3", {"ssse3"}},
      {"sse2", {"sse2"}},
      {"sve2", {"sve2"}},
      {"sve", {"sve"}},
      {"neon", {"asimd"}},
  };
  return sets;
}

}  // namespace

std::string read_text(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::string_view trim(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\n");
  if (first == std::string_view::npos) {
    return {};
  }
  return text.substr(first, text.find_last_not_of(" \t\n") - first + 1);
}

std::string_view value_of(std::string_view text, std::string_view key, char separator) {
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    const auto colon = line.find(separator);
    if (colon != std::string_view::npos && trim(line.substr(0, colon)) == key) {
      return trim(line.substr(colon + 1));
    }
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return {};
}

std::string cpu_name_from(std::string_view cpuinfo) {
  const std::string_view name = value_of(cpuinfo, "model name", ':');
  return name.empty() ? "unknown CPU" : std::string(name);
}

std::string vector_set_from(std::string_view cpuinfo) {
  std::set<std::string> flags = words_of(value_of(cpuinfo, "flags", ':'));
  flags.merge(words_of(value_of(cpuinfo, "Features", ':')));
  for (const VectorSet& set : vector_sets()) {
    if (std::all_of(set.needs.begin(), set.needs.end(),
                    [&](const auto& flag) { return flags.contains(flag); })) {
      return set.name;
    }
  }
  return "scalar";
}

std::size_t size_from(std::string_view text) {
  std::size_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc()) {
    return 0;
  }
  const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  const int shift = unit.empty() ? 0 : unit == "K" ? 10 : unit == "M" ? 20 : unit == "G" ? 30 : -1;
  return shift < 0 ? 0 : value << shift;
}

std::vector<int> usable_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<int> cpus;
  if (sched_getaffinity(0, sizeof(set), &set) == 0) {
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
      if (CPU_ISSET(cpu, &set)) {
        cpus.push_back(cpu);
      }
    }
  }
  if (cpus.empty()) {  // more than CPU_SETSIZE processors: the call refuses, all of them are usable
    for (int cpu = 0; cpu < std::max(1L, sysconf(_SC_NPROCESSORS_ONLN)); ++cpu) {
      cpus.push_back(cpu);
    }
  }
  return cpus;
}

std::size_t last_level_cache_bytes() {
  int last = 0;
  std::map<std::pair<int, std::string>, std::size_t> caches;
  for (const int cpu : usable_cpus()) {
    for (const Cache& cache : data_caches_of(cpu)) {
      last = std::max(last, cache.level);
      caches[{cache.level, cache.shared_with}] = cache.bytes;
    }
  }
  std::size_t total = 0;
  for (const auto& [key, bytes] : caches) {
    total += key.first == last ? bytes : 0;
  }
  return total > 0 ? total : static_cast<std::size_t>(std::max(0L, sysconf(_SC_LEVEL3_CACHE_SIZE)));
}

std::size_t core_cache_bytes() {
  for (const Cache& cache : data_caches_of(usable_cpus().front())) {
    if (cache.level == 2) {
      return cache.bytes;
    }
  }
  return 0;
}

}  // namespace assay::harness
