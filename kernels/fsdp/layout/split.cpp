// SPDX-License-Identifier: Apache-2.0
#include "kernels/fsdp/layout/split.hpp"

#include <algorithm>
#include <stdexcept>
#include <string>

namespace assay::kernels::fsdp {
namespace {

void require_at_least(std::int64_t least, std::int64_t found, const char* what) {
  if (found < least)
    throw std::invalid_argument("split: expected " + std::string(what) + " of at least " +
                                std::to_string(least) + ", found " + std::to_string(found));
}

}  // namespace

Split::Split(std::int64_t count, int world, std::int64_t multiple) : count_(count), world_(world) {
  require_at_least(0, count, "a count");
  require_at_least(1, world, "a world");
  require_at_least(1, multiple, "a multiple");
  const std::int64_t even = (count + world - 1) / world;
  chunk_ = std::max<std::int64_t>((even + multiple - 1) / multiple, 1) * multiple;
}

std::int64_t Split::first(int rank) const {
  return std::min(chunk_ * rank, count_);
}

std::int64_t Split::size(int rank) const {
  return std::min(chunk_, count_ - first(rank));
}

int Split::owner(std::int64_t item) const {
  return static_cast<int>(item / chunk_);
}

}  // namespace assay::kernels::fsdp
