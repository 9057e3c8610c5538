// SPDX-License-Identifier: Apache-2.0
// Row-major f64 matrix, and rows shared out to threads: all the linear algebra an oracle needs.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace assay::reference::backprop {

struct Matrix {
  std::int64_t rows = 0, cols = 0;
  std::vector<double> values;

  Matrix() = default;
  Matrix(std::int64_t r, std::int64_t c) : rows(r), cols(c), values(static_cast<std::size_t>(r * c), 0.0) {}

  bool empty() const { return values.empty(); }
  std::span<double> row(std::int64_t r) { return {values.data() + r * cols, static_cast<std::size_t>(cols)}; }
  std::span<const double> row(std::int64_t r) const {
    return {values.data() + r * cols, static_cast<std::size_t>(cols)};
  }
};

/// Calls `body(i)` for every i in [0, count), each once, on all cores; the first exception leaves.
void for_each_row(std::int64_t count, const std::function<void(std::int64_t)>& body);

}  // namespace assay::reference::backprop
