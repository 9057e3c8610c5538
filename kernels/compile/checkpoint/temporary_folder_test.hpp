// SPDX-License-Identifier: Apache-2.0
// A folder for one test, and files in it that no writer of this room would write.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>

namespace assay::kernels::compile::checkpoint::testing {

class TemporaryFolder {
 public:
  TemporaryFolder() {
    static int made = 0;
    path_ = std::filesystem::path(::testing::TempDir()) /
            ("checkpoint_" + std::to_string(getpid()) + "_" + std::to_string(made++));
    std::filesystem::create_directories(path_);
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path write(const std::string& name, const std::string& text) const {
    std::ofstream(path_ / name, std::ios::binary) << text;
    return path_ / name;
  }
  /// A safetensors file of this header and these data.
  std::filesystem::path write(const std::string& name, const std::string& header,
                              const std::string& data) const {
    const std::uint64_t length = header.size();
    return write(name, std::string(reinterpret_cast<const char*>(&length), sizeof length) + header + data);
  }

 private:
  std::filesystem::path path_;
};

/// The message of what `action` refuses.
template <class Action>
std::string refusal(const Action& action) {
  try {
    action();
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "nothing was refused";
}

}  // namespace assay::kernels::compile::checkpoint::testing
