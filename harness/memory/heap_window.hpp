// SPDX-License-Identifier: Apache-2.0
// Counts heap bytes of the whole process while it is open, whoever allocates and through whatever function.
// Memory that a program maps itself (mmap) is not heap and not counted.
#pragma once

#include <cstdint>

namespace assay::harness {

/// Bytes are those that the allocator set aside: what was asked for, rounded up (glibc: to 16, large blocks
/// to a page). One window at a time; throws std::logic_error for a second.
class HeapWindow {
 public:
  HeapWindow();
  ~HeapWindow();
  HeapWindow(const HeapWindow&) = delete;
  HeapWindow& operator=(const HeapWindow&) = delete;

  /// Most bytes alive at any moment since the opening, above what was alive then; never negative.
  std::int64_t peak_bytes() const;
  /// Bytes alive now above those at the opening; negative when older memory was freed.
  std::int64_t current_bytes() const;
};

}  // namespace assay::harness
