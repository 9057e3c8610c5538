// SPDX-License-Identifier: Apache-2.0
#include "suites/conformance/repeated_memory.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <string>

namespace assay::suites::conformance {
namespace {

[[noreturn]] void refuse(const char* what) {
  throw std::runtime_error(std::string(what) + ": " + std::strerror(errno));
}

}  // namespace

RepeatedMemory::RepeatedMemory(std::size_t bytes, std::size_t window) : bytes_(bytes), window_(window) {
  if (window == 0 || bytes % window != 0 || bytes < 2 * window)
    throw std::runtime_error("expected at least two windows, found " + std::to_string(bytes) + " bytes of " +
                             std::to_string(window));
  const int descriptor = memfd_create("assay_repeated", 0);
  if (descriptor < 0)
    refuse("memfd_create");
  try {
    map(descriptor);
  } catch (...) {
    close(descriptor);
    throw;
  }
  close(descriptor);
}

void RepeatedMemory::map(int descriptor) {
  if (ftruncate(descriptor, static_cast<off_t>(2 * window_)) != 0)
    refuse("ftruncate");
  void* const reserved = mmap(nullptr, bytes_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (reserved == MAP_FAILED)
    refuse("mmap");
  data_ = static_cast<std::byte*>(reserved);
  for (std::size_t at = 0; at < bytes_; at += window_) {
    const std::size_t from = at + window_ == bytes_ ? window_ : 0;
    if (mmap(data_ + at, window_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, descriptor,
             static_cast<off_t>(from)) == MAP_FAILED) {
      munmap(data_, bytes_);
      refuse("mmap of a window");
    }
  }
}

RepeatedMemory::~RepeatedMemory() {
  munmap(data_, bytes_);
}

}  // namespace assay::suites::conformance
