// SPDX-License-Identifier: Apache-2.0
#include "kernels/backprop/chunk_plan.hpp"

#include <algorithm>
#include <limits>
#include <stdexcept>
#include <string>

namespace assay::kernels::backprop {
namespace {

constexpr std::int64_t kTileRows = 128;
constexpr std::int64_t kRowsWhereFreeMemoryIsUnknown = 1024;

std::invalid_argument refuse(const std::string& what) {
  return std::invalid_argument("chunk choice: " + what);
}

void check(const ChunkChoice& choice) {
  if (choice.rows && choice.bytes)
    throw refuse("expected rows or bytes, found both; leave one of them empty");
  if (choice.rows && *choice.rows < 1)
    throw refuse("expected at least 1 row a chunk, found " + std::to_string(*choice.rows));
  if (choice.bytes && *choice.bytes < 1)
    throw refuse("expected a budget of at least 1 byte, found " + std::to_string(*choice.bytes));
  if (!(choice.free_memory_share > 0.0 && choice.free_memory_share <= 1.0))
    throw refuse("expected a share of free memory in (0, 1], found " +
                 std::to_string(choice.free_memory_share));
}

/// Rows that fit into `bytes`, whole tiles where there is room for one.
std::int64_t rows_within(std::int64_t bytes, const ChunkNeeds& needs) {
  const std::int64_t row_bytes = std::max<std::int64_t>(needs.vocab * needs.bytes_per_logit, 1);
  const std::int64_t rows = bytes / row_bytes;
  return rows < kTileRows ? std::max<std::int64_t>(rows, 1) : rows / kTileRows * kTileRows;
}

/// A part of the rows, in whole tiles: one chunk of everything would need as much memory as the plain layer.
std::int64_t part(std::int64_t rows, std::int64_t parts) {
  return (rows + parts * kTileRows - 1) / (parts * kTileRows) * kTileRows;
}

std::int64_t automatic(const ChunkChoice& choice, const ChunkNeeds& needs) {
  const std::int64_t most =
      std::min(needs.most_rows, std::max(part(needs.num_rows, needs.least_chunks), kTileRows));
  if (needs.free_bytes <= 0)
    return std::min(kRowsWhereFreeMemoryIsUnknown, most);
  const double budget = choice.free_memory_share * static_cast<double>(needs.free_bytes);
  return std::min(rows_within(static_cast<std::int64_t>(budget), needs), most);
}

}  // namespace

std::int64_t chunk_rows(const ChunkChoice& choice, const ChunkNeeds& needs) {
  check(choice);
  const std::int64_t all = std::max<std::int64_t>(needs.num_rows, 1);
  if (choice.rows)
    return std::min(*choice.rows, all);
  return std::min(choice.bytes ? rows_within(*choice.bytes, needs) : automatic(choice, needs), all);
}

}  // namespace assay::kernels::backprop
