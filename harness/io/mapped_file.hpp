// SPDX-License-Identifier: Apache-2.0
// A regular file, mapped read-only. The bytes stay where they are when the object is moved.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>

namespace assay::harness {

class MappedFile {
 public:
  /// Throws UsageError naming `path` for what is missing, unreadable, no regular file or empty. Whoever cuts
  /// the file while it is mapped takes the process down (SIGBUS): files are not to be changed while they are
  /// judged.
  static MappedFile open(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;

  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  explicit MappedFile(std::span<const std::byte> bytes) : bytes_(bytes) {}
  std::span<const std::byte> bytes_;
};

}  // namespace assay::harness
