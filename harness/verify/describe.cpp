// SPDX-License-Identifier: Apache-2.0
// Sentences about numbers.
#include "harness/verify/describe.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstring>
#include <vector>

namespace assay::harness {

std::string place(const TensorView& view, std::int64_t index) {
  std::vector<std::int64_t> coordinates(view.shape.size());
  for (std::size_t i = view.shape.size(); i-- > 0;) {
    coordinates[i] = index % view.shape[i];
    index /= view.shape[i];
  }
  return fmt::format("[{}] of '{}'", fmt::join(coordinates, ", "), view.name);
}

std::string describe_mismatch(const Parity& parity, const TensorSet& outputs) {
  const std::string where = parity.first_bad_index < 0
                                ? std::string("nowhere in particular")
                                : place(outputs.at(parity.first_bad_output), parity.first_bad_index);
  if (parity.mismatches > 0) {
    return fmt::format(
        "{} of {} elements are outside the limit ({} not finite), first at {}: found {}, expected {}; "
        "largest distance {} ulp",
        parity.mismatches, parity.elements, parity.nonfinite, where, parity.first_bad_value,
        parity.first_bad_expected, parity.max_ulp);
  }
  if (parity.worst_tile_ratio > 1.0) {
    return fmt::format("the error of a whole tile is {:.4g} times its limit, first in the tile at {}",
                       parity.worst_tile_ratio, where);
  }
  return fmt::format("relative error {:.4g} is above its limit {:.4g}", parity.rel_err,
                     parity.limit.value_or(0.0));
}

std::optional<std::string> describe_difference(const TensorSet& a, const TensorSet& b) {
  for (const TensorView& view : a.views()) {
    const std::size_t size = size_of(view.dtype);
    const auto* left = view.as<const std::byte>();
    const auto* right = b.at(view.name).as<const std::byte>();
    std::int64_t first = -1, count = 0;
    for (std::int64_t i = 0; i < view.numel(); ++i) {
      if (std::memcmp(left + i * size, right + i * size, size) != 0) {
        first = first < 0 ? i : first;
        ++count;
      }
    }
    if (count > 0) {
      return fmt::format("{} of {} elements differ, first at {}", count, view.numel(), place(view, first));
    }
  }
  return std::nullopt;
}

}  // namespace assay::harness
