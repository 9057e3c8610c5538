// SPDX-License-Identifier: Apache-2.0
// Memory an implementation takes during a call: torch's caching allocator where torch is built in, else
// stream-ordered driver memory; the heap on the CPU.
#include <cstdlib>
#include <string>

#include "harness/device/device.hpp"
#include "harness/memory/device_pool.hpp"
#include "harness/memory/memory.hpp"

namespace assay::harness {
namespace {

// 64: what torch's own CPU allocator aligns to, one cache line.
constexpr std::size_t kHostAlignment = 64;

void* take_host(std::size_t bytes) {
  void* data = nullptr;
  if (::posix_memalign(&data, kHostAlignment, bytes) != 0) {
    throw OutOfMemory("the heap refused " + std::to_string(bytes) + " bytes; use a smaller case");
  }
  return data;
}

}  // namespace

Scratch::Scratch(std::size_t bytes, DeviceKind device, Stream stream)
    : bytes_(bytes), device_(device), stream_(stream) {
  if (bytes > 0) {
    data_ = device == DeviceKind::kCpu ? take_host(bytes) : take_from_pool(bytes, stream);
  }
}

Scratch::~Scratch() {
  if (data_ == nullptr) {
    return;
  }
  if (device_ == DeviceKind::kCpu) {
    std::free(data_);
  } else {
    return_to_pool(data_, stream_);
  }
}

}  // namespace assay::harness
