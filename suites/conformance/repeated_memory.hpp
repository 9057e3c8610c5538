// SPDX-License-Identifier: Apache-2.0
// Addresses for more memory than there is: one window of pages, mapped again and again, and a last window of
// its own.
#pragma once

#include <cstddef>
#include <span>

namespace assay::suites::conformance {

class RepeatedMemory {
 public:
  /// `bytes` and `window` are multiples of the page size, `bytes` of `window` too and at least twice as long.
  /// Zeros. Throws std::runtime_error where the system refuses.
  RepeatedMemory(std::size_t bytes, std::size_t window);
  ~RepeatedMemory();
  RepeatedMemory(const RepeatedMemory&) = delete;
  RepeatedMemory& operator=(const RepeatedMemory&) = delete;

  std::byte* data() const { return data_; }
  /// What all windows but the last show.
  std::span<std::byte> first() const { return {data_, window_}; }
  std::span<std::byte> last() const { return {data_ + bytes_ - window_, window_}; }

 private:
  void map(int descriptor);

  std::size_t bytes_, window_;
  std::byte* data_ = nullptr;
};

}  // namespace assay::suites::conformance
