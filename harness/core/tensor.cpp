// SPDX-License-Identifier: Apache-2.0
// Tensor sets: every tensor is one allocation with canary zones on both sides. The rear zone starts at the
// very next byte after the payload, so that a write one element past an odd length is seen.
#include "harness/core/tensor.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <optional>
#include <stdexcept>

#include "harness/device/device.hpp"

namespace assay::harness {
namespace {

// 4096: a whole tile row written too far is still seen; both zones of a tensor are read back in two small
// copies.
constexpr std::size_t kZoneBytes = 4096;
constexpr std::size_t kAlignment = 256;
static_assert(kZoneBytes % kAlignment == 0);
constexpr std::uint8_t kCanary = 0xC5;

std::size_t checked_bytes(const TensorSpec& spec) {
  std::int64_t total = static_cast<std::int64_t>(size_of(spec.dtype));
  for (const std::int64_t extent : spec.shape) {
    if (extent < 0) {
      throw std::invalid_argument(
          fmt::format("tensor '{}': expected extents of 0 or more, found {}", spec.name, extent));
    }
    if (__builtin_mul_overflow(total, extent, &total)) {
      throw std::invalid_argument(fmt::format("tensor '{}': its size does not fit in 63 bits", spec.name));
    }
  }
  if (total > std::numeric_limits<std::int64_t>::max() - static_cast<std::int64_t>(4 * kZoneBytes)) {
    throw std::invalid_argument(fmt::format("tensor '{}': its size does not fit in 63 bits", spec.name));
  }
  return static_cast<std::size_t>(total);
}

/// Bytes behind the payload up to the end of the allocation: the fill-up to the alignment, then a whole zone.
std::size_t rear_bytes(std::size_t payload) {
  return (kAlignment - payload % kAlignment) % kAlignment + kZoneBytes;
}

bool zone_intact(const std::byte* zone, DeviceKind device, std::size_t bytes) {
  std::array<std::byte, kZoneBytes + kAlignment> host;
  copy_bytes(host.data(), DeviceKind::kCpu, zone, device, bytes);
  return std::all_of(host.begin(), host.begin() + bytes, [](std::byte b) { return b == std::byte{kCanary}; });
}

}  // namespace

std::string_view name_of(DeviceKind kind) {
  return kind == DeviceKind::kCpu ? "cpu" : "cuda";
}

std::int64_t TensorView::numel() const {
  std::int64_t count = 1;
  for (const std::int64_t extent : shape) {
    count *= extent;
  }
  return count;
}

std::size_t TensorView::bytes() const {
  return static_cast<std::size_t>(numel()) * size_of(dtype);
}

struct TensorSet::Allocation {
  Allocation(std::size_t payload, DeviceKind device)
      : payload_bytes(payload), owned(std::in_place, total_bytes(payload), device), front(owned->data()) {
    fill_bytes(front, device, kCanary, kZoneBytes);
    fill_bytes(rear(), device, kCanary, rear_bytes(payload));
  }
  Allocation(std::size_t payload, std::byte* memory) : payload_bytes(payload), front(memory) {}

  static std::size_t total_bytes(std::size_t payload) { return kZoneBytes + payload + rear_bytes(payload); }
  std::byte* payload() const { return front + kZoneBytes; }
  std::byte* rear() const { return payload() + payload_bytes; }
  bool intact(DeviceKind device) const {
    return zone_intact(front, device, kZoneBytes) && zone_intact(rear(), device, rear_bytes(payload_bytes));
  }

  std::size_t payload_bytes;
  std::optional<DeviceBuffer> owned;
  std::byte* front;
};

TensorSet::TensorSet(DeviceKind device) : device_(device) {}
TensorSet::~TensorSet() = default;
TensorSet::TensorSet(TensorSet&&) noexcept = default;
TensorSet& TensorSet::operator=(TensorSet&&) noexcept = default;

std::size_t TensorSet::guarded_bytes(const TensorSpec& spec) {
  return Allocation::total_bytes(checked_bytes(spec));
}

TensorView& TensorSet::add(const TensorSpec& spec) {
  require_free(spec.name);
  return keep(spec, std::make_unique<Allocation>(checked_bytes(spec), device_));
}

TensorView& TensorSet::add_at(const TensorSpec& spec, std::byte* memory) {
  require_free(spec.name);
  return keep(spec, std::make_unique<Allocation>(checked_bytes(spec), memory));
}

std::span<std::byte> TensorSet::guarded(std::string_view name) const {
  const auto index = static_cast<std::size_t>(&at(name) - views_.data());
  const Allocation& allocation = *allocations_[index];
  return {allocation.front, Allocation::total_bytes(allocation.payload_bytes)};
}

void TensorSet::require_free(const std::string& name) const {
  if (contains(name)) {
    throw std::invalid_argument(
        fmt::format("a tensor named '{}' is already in the set; use another name", name));
  }
}

TensorView& TensorSet::keep(const TensorSpec& spec, std::unique_ptr<Allocation> allocation) {
  views_.push_back({spec.name, allocation->payload(), spec.dtype, spec.shape, device_});
  allocations_.push_back(std::move(allocation));
  return views_.back();
}

const TensorView& TensorSet::at(std::string_view name) const {
  std::string known;
  for (const TensorView& view : views_) {
    if (view.name == name) {
      return view;
    }
    known += (known.empty() ? "" : ", ") + view.name;
  }
  throw std::out_of_range(
      fmt::format("no tensor named '{}'; the set holds: {}", name, known.empty() ? "none" : known));
}

bool TensorSet::contains(std::string_view name) const {
  return std::any_of(views_.begin(), views_.end(), [&](const TensorView& view) { return view.name == name; });
}

std::size_t TensorSet::bytes() const {
  std::size_t total = 0;
  for (const TensorView& view : views_) {
    total += view.bytes();
  }
  return total;
}

TensorSet TensorSet::copy_to(DeviceKind device) const {
  TensorSet copy(device);
  for (const TensorView& view : views_) {
    const TensorView& target = copy.add({view.name, view.dtype, view.shape});
    copy_bytes(target.data, device, view.data, device_, view.bytes());
  }
  return copy;
}

void TensorSet::fill(std::uint8_t byte) {
  for (const TensorView& view : views_) {
    fill_bytes(view.data, device_, byte, view.bytes());
  }
}

bool TensorSet::canaries_intact(std::string* which) const {
  for (std::size_t i = 0; i < allocations_.size(); ++i) {
    if (!allocations_[i]->intact(device_)) {
      if (which != nullptr) {
        *which = views_[i].name;
      }
      return false;
    }
  }
  return true;
}

std::uint64_t TensorSet::digest() const {
  std::uint64_t combined = 0;
  for (const TensorView& view : views_) {
    // Multiplying between tensors makes the order count; the constant is 2^64 divided by the golden ratio,
    // odd.
    combined = (combined ^ digest_bytes(view.data, device_, view.bytes())) * 0x9E3779B97F4A7C15ull;
  }
  return combined;
}

}  // namespace assay::harness
