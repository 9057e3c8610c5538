// SPDX-License-Identifier: Apache-2.0
#include "kernels/fsdp/checkpoint/files.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "kernels/fsdp/checkpoint/error.hpp"

namespace assay::kernels::fsdp {
namespace {

[[noreturn]] void fail(const std::filesystem::path& path, const char* expected, int code = errno) {
  throw CheckpointError(path.string(), expected, std::generic_category().message(code));
}

class PosixFile : public OutputFile {
 public:
  explicit PosixFile(const std::filesystem::path& path)
      : path_(path), descriptor_(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666)) {
    if (descriptor_ < 0)
      fail(path_, "to create it");
  }
  PosixFile(const PosixFile&) = delete;
  PosixFile& operator=(const PosixFile&) = delete;
  ~PosixFile() override { ::close(descriptor_); }

  void write(std::span<const std::byte> bytes) override {
    while (!bytes.empty()) {
      const ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
      if (written < 0 && errno != EINTR)
        fail(path_, "to write it");
      bytes = bytes.subspan(written < 0 ? 0 : static_cast<std::size_t>(written));
    }
  }

  void sync() override {
    if (::fsync(descriptor_) != 0)
      fail(path_, "to sync it");
  }

 private:
  std::filesystem::path path_;
  int descriptor_ = -1;
};

}  // namespace

void PosixFiles::make_directory(const std::filesystem::path& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error)
    fail(path, "to make the directory", error.value());
}

std::unique_ptr<OutputFile> PosixFiles::create(const std::filesystem::path& path) {
  return std::make_unique<PosixFile>(path);
}

void PosixFiles::rename(const std::filesystem::path& from, const std::filesystem::path& to) {
  if (::rename(from.c_str(), to.c_str()) != 0)
    fail(to, "to rename a file to it");
}

void PosixFiles::sync_directory(const std::filesystem::path& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0)
    fail(path, "to open the directory");
  const int result = ::fsync(descriptor), code = errno;
  ::close(descriptor);
  if (result != 0)
    fail(path, "to sync the directory", code);
}

void PosixFiles::remove_all(const std::filesystem::path& path) {
  std::error_code error;
  std::filesystem::remove_all(path, error);
  if (error)
    fail(path, "to remove it", error.value());
}

void write_whole(Files& files, const std::filesystem::path& path, std::span<const std::byte> bytes) {
  std::filesystem::path partial = path;
  partial += ".partial";
  {
    const auto file = files.create(partial);
    file->write(bytes);
    file->sync();
  }
  files.rename(partial, path);
  files.sync_directory(path.parent_path());
}

}  // namespace assay::kernels::fsdp
