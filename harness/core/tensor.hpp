// SPDX-License-Identifier: Apache-2.0
// What crosses between suite and harness: named, typed, shaped memory on one device. Contiguous, row-major.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "harness/core/dtype.hpp"

namespace assay::harness {

enum class DeviceKind { kCpu, kCuda };
std::string_view name_of(DeviceKind kind);

/// Non-owning. `data` points to `bytes()` bytes on `device`.
struct TensorView {
  std::string name;
  void* data = nullptr;
  Dtype dtype = Dtype::kUint8;
  std::vector<std::int64_t> shape;
  DeviceKind device = DeviceKind::kCpu;

  std::int64_t numel() const;
  std::size_t bytes() const;
  template <class T>
  T* as() const {
    return static_cast<T*>(data);
  }
};

struct TensorSpec {
  std::string name;
  Dtype dtype = Dtype::kUint8;
  std::vector<std::int64_t> shape;
};

/// Owns guarded allocations: every tensor lies between two canary zones (see device/buffer.hpp) that
/// `canaries_intact` inspects. Movable, not copyable.
class TensorSet {
 public:
  explicit TensorSet(DeviceKind device);
  ~TensorSet();
  TensorSet(TensorSet&&) noexcept;
  TensorSet& operator=(TensorSet&&) noexcept;

  DeviceKind device() const { return device_; }
  /// Allocates (uninitialised) and returns the view. Throws OutOfMemory (core/outcome.hpp) or
  /// std::invalid_argument for a name that is taken or a negative extent.
  TensorView& add(const TensorSpec& spec);
  /// Bytes that `add` allocates for `spec`: front zone, payload, rear zone.
  static std::size_t guarded_bytes(const TensorSpec& spec);
  /// As `add`, in `guarded_bytes(spec)` bytes of the caller's at `memory`, which outlive the set; zones and
  /// payload are left as they are.
  TensorView& add_at(const TensorSpec& spec, std::byte* memory);
  /// All bytes of the tensor's allocation on the set's device, zones included. Throws like `at`.
  std::span<std::byte> guarded(std::string_view name) const;
  /// Throws std::out_of_range naming what exists.
  const TensorView& at(std::string_view name) const;
  bool contains(std::string_view name) const;
  const std::vector<TensorView>& views() const { return views_; }
  std::size_t bytes() const;

  /// Copies every tensor to `device` (blocking), names and shapes kept.
  TensorSet copy_to(DeviceKind device) const;
  /// Fills every byte of every tensor (blocking).
  void fill(std::uint8_t byte);
  /// True while no byte of the zones around any tensor was changed. `which` receives the first damaged
  /// tensor's name.
  bool canaries_intact(std::string* which = nullptr) const;
  /// Order-sensitive 64-bit digest over the bytes of all tensors (blocking, computed on the device).
  std::uint64_t digest() const;

 private:
  struct Allocation;
  void require_free(const std::string& name) const;
  TensorView& keep(const TensorSpec& spec, std::unique_ptr<Allocation> allocation);

  DeviceKind device_;
  std::vector<TensorView> views_;
  std::vector<std::unique_ptr<Allocation>> allocations_;
};

}  // namespace assay::harness
