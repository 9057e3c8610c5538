// SPDX-License-Identifier: Apache-2.0
// See mapped_file.hpp.
#include "harness/io/mapped_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "harness/core/outcome.hpp"

namespace assay::harness {
namespace {

[[noreturn]] void fail(const std::filesystem::path& path, const std::string& found) {
  throw UsageError(fmt::format("{}: expected a readable file, found {}", path.string(), found));
}

std::string errno_text(int error) {
  return std::generic_category().message(error);
}

/// Closes on every way out; the mapping outlives the descriptor.
struct Descriptor {
  int fd = -1;
  ~Descriptor() {
    if (fd >= 0) {
      ::close(fd);
    }
  }
};

}  // namespace

MappedFile MappedFile::open(const std::filesystem::path& path) {
  // O_NONBLOCK: a pipe must be refused below, not waited for
  const Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (file.fd < 0) {
    fail(path, errno_text(errno));
  }
  struct stat status {};
  if (::fstat(file.fd, &status) != 0) {
    fail(path, errno_text(errno));
  }
  if (S_ISDIR(status.st_mode)) {
    fail(path, "a directory");
  }
  if (!S_ISREG(status.st_mode)) {
    fail(path, "something that is no regular file");
  }
  if (status.st_size == 0) {
    fail(path, "an empty file");
  }
  const auto size = static_cast<std::size_t>(status.st_size);
  void* data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.fd, 0);
  if (data == MAP_FAILED) {
    fail(path, fmt::format("{} bytes that cannot be mapped: {}", size, errno_text(errno)));
  }
  return MappedFile({static_cast<const std::byte*>(data), size});
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) {
    ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
  }
}

MappedFile::MappedFile(MappedFile&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(bytes_, other.bytes_);
  return *this;
}

}  // namespace assay::harness
