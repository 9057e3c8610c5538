// SPDX-License-Identifier: Apache-2.0
// Frozen weights one behind the other in one allocation, bound to the step that reads them.
#pragma once

#include <cstddef>
#include <map>
#include <string>

#include "kernels/compile/checkpoint/weight_sink.hpp"
#include "kernels/compile/program.hpp"

namespace assay::kernels::compile::checkpoint {

/// Where weights lie and who is told of them: a device and its step, or in tests the host.
class WeightOwner {
 public:
  virtual ~WeightOwner() = default;
  /// Memory that lives as long as the step, aligned to 256.
  virtual std::byte* allocate(std::size_t bytes) = 0;
  /// From host memory that the caller may change at once.
  virtual void copy(std::byte* to, const void* from, std::size_t bytes) = 0;
  virtual void bind(const std::string& name, const void* data) = 0;
  virtual void bind(const std::string& name, const nf4::PackedWeights& weights) = 0;
  virtual void set(const std::string& name, std::span<const float> adapter) = 0;
};

class PlacedWeights final : public WeightSink {
 public:
  /// Asks `owner` once for room for every frozen buffer of `program`, packed ones in blocks of 64 and 256,
  /// dense ones of 16 bits. A weight in smaller blocks gets memory of its own when it comes.
  PlacedWeights(const Program& program, WeightOwner& owner);

  /// Copies and binds. Throw std::out_of_range for a name that is not the program's, std::invalid_argument
  /// for dense elements of another number.
  void dense(const std::string& name, std::span<const std::byte> elements) override;
  void packed(const std::string& name, const nf4::PackedWeights& weights) override;
  void adapter(const std::string& name, std::span<const float> values) override;

  std::size_t bytes() const { return bytes_; }

 private:
  struct Place {
    std::size_t offset = 0, bytes = 0;
  };
  const Place& place_of(const std::string& name) const;

  WeightOwner& owner_;
  std::map<std::string, Place> places_;
  std::size_t bytes_ = 0;
  std::byte* memory_ = nullptr;
};

}  // namespace assay::kernels::compile::checkpoint
