// SPDX-License-Identifier: Apache-2.0
// A folder for one case, and files in it byte by byte.
#pragma once

#include <filesystem>
#include <string>

namespace assay::suites::conformance {

class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path write(const std::string& name, const std::string& bytes) const;

 private:
  std::filesystem::path path_;
};

/// A safetensors file of this header and these data.
std::string safetensors_bytes(const std::string& header, const std::string& data);

}  // namespace assay::suites::conformance
