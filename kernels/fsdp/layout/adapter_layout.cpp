// SPDX-License-Identifier: Apache-2.0
#include "kernels/fsdp/layout/adapter_layout.hpp"

#include <algorithm>
#include <stdexcept>

namespace assay::kernels::fsdp {
namespace {

constexpr std::int64_t kChunkMultiple = 16;

std::int64_t elements_of(const std::vector<AdapterTensor>& tensors) {
  if (tensors.empty())
    throw std::invalid_argument("adapter layout: expected at least one tensor, found none");
  std::int64_t sum = 0;
  for (const AdapterTensor& tensor : tensors) {
    if (tensor.rows < 1 || tensor.columns < 1)
      throw std::invalid_argument("adapter layout: expected at least one row and column in " + tensor.name +
                                  ", found " + std::to_string(tensor.rows) + "x" +
                                  std::to_string(tensor.columns));
    sum += tensor.elements();
  }
  return sum;
}

}  // namespace

AdapterLayout::AdapterLayout(std::vector<AdapterTensor> tensors, int world)
    : tensors_(std::move(tensors)), split_(elements_of(tensors_), world, kChunkMultiple) {
  std::int64_t offset = 0;
  for (const AdapterTensor& tensor : tensors_) {
    offsets_.push_back(offset);
    offset += tensor.elements();
  }
}

std::vector<AdapterPiece> AdapterLayout::owned(int rank) const {
  const std::int64_t begin = split_.first(rank), end = begin + split_.size(rank);
  std::vector<AdapterPiece> pieces;
  for (std::size_t i = 0; i < tensors_.size(); ++i) {
    const std::int64_t from = std::max(begin, offsets_[i]),
                       to = std::min(end, offsets_[i] + tensors_[i].elements());
    if (from < to)
      pieces.push_back(
          {.tensor = i, .first = from - offsets_[i], .elements = to - from, .local = from - begin});
  }
  return pieces;
}

}  // namespace assay::kernels::fsdp
