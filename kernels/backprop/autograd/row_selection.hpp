// SPDX-License-Identifier: Apache-2.0
// Which rows count, and how that is known: dropped before the product where the host knows their number,
// masked where only the GPU does.
#pragma once

#include <ATen/core/Tensor.h>

namespace assay::kernels::backprop {

/// Rows of a pass, cut into chunks by (begin, length) over `count()` positions.
class RowSelection {
 public:
  /// counts: bool [num_rows] or undefined (all). On the CPU, or with `wait_for_count`, rows that do not count
  /// are left out; otherwise they stay and are masked. `device`: where the rows lie. Throws c10::Error for a
  /// wrong shape, type or device, and for `wait_for_count` inside a graph capture.
  RowSelection(const at::Tensor& counts, bool wait_for_count, std::int64_t num_rows, at::Device device);

  /// Positions to compute, at most num_rows.
  std::int64_t count() const { return count_; }
  bool drops() const { return index_.defined(); }
  bool masks() const { return mask_.defined(); }
  /// Rows [begin, begin + length) of the positions: a view where nothing is dropped, else a copy of the rows
  /// that count.
  at::Tensor take(const at::Tensor& rows, std::int64_t begin, std::int64_t length) const;
  /// Writes `part` to where take() read; `rows` starts as zeros.
  void put(at::Tensor& rows, const at::Tensor& part, std::int64_t begin, std::int64_t length) const;
  /// The mask of a chunk, bool [length]; only where masks().
  at::Tensor mask(std::int64_t begin, std::int64_t length) const { return mask_.narrow(0, begin, length); }
  /// Number of rows that count, as a scalar of `type` on the rows' device; waits for nothing.
  at::Tensor number(at::ScalarType type) const;

 private:
  std::int64_t count_ = 0;
  at::Device device_;
  at::Tensor index_;  ///< int64 [count_] of the rows that count, where they are dropped
  at::Tensor mask_;   ///< bool [num_rows] on the device, where they are masked
};

}  // namespace assay::kernels::backprop
