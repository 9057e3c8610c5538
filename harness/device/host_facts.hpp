// SPDX-License-Identifier: Apache-2.0
// What Linux says about the host: processor, caches, memory. Internal to this room. Parsers take text, so
// that tests feed them the files of machines that are not here.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace assay::harness {

/// Contents of a file, empty when it cannot be read.
std::string read_text(const std::string& path);
std::string_view trim(std::string_view text);
/// Value of the first line whose part in front of `separator` is `key`, both trimmed; empty when there is
/// none.
std::string_view value_of(std::string_view text, std::string_view key, char separator);
/// Model name of a /proc/cpuinfo text; "unknown CPU" when it has none.
std::string cpu_name_from(std::string_view cpuinfo);
/// Widest vector instruction set in a /proc/cpuinfo text, by Highway's names: "avx3_spr", "avx3_dl", "avx3",
/// "avx2", "sse4", "ssse3", "sse2", "sve2", "sve", "neon"; "scalar" when none is recognised.
std::string vector_set_from(std::string_view cpuinfo);
/// "32K", "8M", "1G" or "512" as bytes; 0 for anything else.
std::size_t size_from(std::string_view text);

/// Processors this process may run on, ascending.
std::vector<int> usable_cpus();
/// Bytes of all last-level caches that the usable processors share.
std::size_t last_level_cache_bytes();
/// Bytes of one core's level-2 cache, 0 when unknown.
std::size_t core_cache_bytes();
/// What this machine or its control group allows in all.
std::size_t host_memory_bytes();
/// What can be allocated now without the kernel ending a process.
std::size_t available_host_bytes();

}  // namespace assay::harness
