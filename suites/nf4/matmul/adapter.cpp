// SPDX-License-Identifier: Apache-2.0
#include "suites/nf4/matmul/adapter.hpp"

#include <fmt/format.h>

#include <map>
#include <mutex>

#include "harness/memory/memory.hpp"

namespace assay::suites::nf4::matmul {

using harness::DeviceBuffer;
using harness::DeviceKind;

std::shared_ptr<DeviceBuffer> shared_buffer(std::size_t bytes, DeviceKind device) {
  static std::mutex mutex;
  static std::map<std::pair<std::size_t, DeviceKind>, std::weak_ptr<DeviceBuffer>> kept;
  if (bytes == 0)
    return nullptr;
  const std::lock_guard lock(mutex);
  std::weak_ptr<DeviceBuffer>& held = kept[{bytes, device}];
  std::shared_ptr<DeviceBuffer> buffer = held.lock();
  if (!buffer)
    held = buffer = std::make_shared<DeviceBuffer>(bytes, device);
  return buffer;
}

harness::Invocation prepare_product(harness::TensorSet& outputs, harness::CallStyle style, ProductCall call,
                                    std::size_t temporary_bytes) {
  const harness::TensorView& y = outputs.at("y");
  if (style == harness::CallStyle::kInto) {
    return [call = std::move(call), to = y.data, kept = shared_buffer(temporary_bytes, y.device)](
               harness::Stream stream) { call(to, kept ? kept->data() : nullptr, stream); };
  }
  return [call = std::move(call), bytes = y.bytes(), device = y.device,
          temporary_bytes](harness::Stream stream) {
    const harness::Scratch to(bytes, device, stream);
    if (temporary_bytes == 0)
      return call(to.data(), nullptr, stream);
    const harness::Scratch temporaries(temporary_bytes, device, stream);
    call(to.data(), temporaries.data(), stream);
  };
}

std::optional<std::string> more_than_16_rows(const harness::Case& which, const harness::DeviceFacts&) {
  const std::int64_t m = parameters_of(which).m;
  if (m > 16)
    return fmt::format("takes 1 to 16 rows of x, the case has {}", m);
  return std::nullopt;
}

}  // namespace assay::suites::nf4::matmul
