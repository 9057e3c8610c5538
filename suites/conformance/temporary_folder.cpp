// SPDX-License-Identifier: Apache-2.0
#include "suites/conformance/temporary_folder.hpp"

#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <stdexcept>

namespace assay::suites::conformance {

TemporaryFolder::TemporaryFolder() {
  std::string pattern = (std::filesystem::temp_directory_path() / "assay_conformance_XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr)
    throw std::runtime_error("cannot make a folder " + pattern);
  path_ = pattern;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::filesystem::path TemporaryFolder::write(const std::string& name, const std::string& bytes) const {
  std::ofstream file(path_ / name, std::ios::binary);
  file << bytes;
  file.close();
  if (!file)
    throw std::runtime_error("cannot write " + (path_ / name).string());
  return path_ / name;
}

std::string safetensors_bytes(const std::string& header, const std::string& data) {
  const std::uint64_t length = header.size();
  return std::string(reinterpret_cast<const char*>(&length), sizeof length) + header + data;
}

}  // namespace assay::suites::conformance
