// SPDX-License-Identifier: Apache-2.0
// The file operations a checkpoint is made of, one virtual call each, so that a test can stop a writer
// between any two.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>

namespace assay::kernels::fsdp {

/// A file being written. Closed when destroyed, whatever was written.
class OutputFile {
 public:
  virtual ~OutputFile() = default;
  virtual void write(std::span<const std::byte> bytes) = 0;
  virtual void sync() = 0;  ///< until the bytes are on the device
};

/// All throw CheckpointError naming the path and the system's reason (no space, read-only, …).
class Files {
 public:
  virtual ~Files() = default;
  virtual void make_directory(
      const std::filesystem::path& path) = 0;  ///< with its parents; fine where it exists
  virtual std::unique_ptr<OutputFile> create(const std::filesystem::path& path) = 0;  ///< must not exist
  virtual void rename(const std::filesystem::path& from, const std::filesystem::path& to) = 0;
  virtual void sync_directory(const std::filesystem::path& path) = 0;  ///< until its names are on the device
  virtual void remove_all(const std::filesystem::path& path) = 0;
};

/// The machine's own.
class PosixFiles : public Files {
 public:
  void make_directory(const std::filesystem::path& path) override;
  std::unique_ptr<OutputFile> create(const std::filesystem::path& path) override;
  void rename(const std::filesystem::path& from, const std::filesystem::path& to) override;
  void sync_directory(const std::filesystem::path& path) override;
  void remove_all(const std::filesystem::path& path) override;
};

/// Writes `bytes` under `path`.partial, syncs, renames and syncs the directory: a whole file appears, or
/// none.
void write_whole(Files& files, const std::filesystem::path& path, std::span<const std::byte> bytes);

}  // namespace assay::kernels::fsdp
