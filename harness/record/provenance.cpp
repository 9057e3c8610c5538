// SPDX-License-Identifier: Apache-2.0
// One digest for the sources of one implementation.
#include "harness/record/provenance.hpp"

#include <stdexcept>

#include "harness/record/sha256.hpp"

namespace assay::harness {

std::string sources_sha256(const std::vector<std::string>& paths) {
  const auto& known = source_digests();
  std::map<std::string, std::string> chosen;
  for (const std::string& path : paths) {
    const std::string folder = path.ends_with('/') ? path : path + '/';
    bool found = false;
    for (auto file = known.lower_bound(path); file != known.end() && file->first.starts_with(path); ++file) {
      if (file->first == path || file->first.starts_with(folder)) {
        chosen.insert(*file);
        found = true;
      }
    }
    if (!found) {
      throw std::invalid_argument(
          "expected a source file or folder under kernels/, reference/, suites/ or harness/, found '" + path +
          "': correct the implementation's list of sources");
    }
  }
  std::string lines;
  for (const auto& [path, digest] : chosen) {
    lines += path + ' ' + digest + '\n';
  }
  return sha256(lines);
}

}  // namespace assay::harness
