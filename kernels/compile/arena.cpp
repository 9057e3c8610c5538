// SPDX-License-Identifier: Apache-2.0
#include "kernels/compile/arena.hpp"

#include <algorithm>
#include <bit>
#include <map>
#include <numeric>
#include <stdexcept>
#include <string>

namespace assay::kernels::compile {
namespace {

bool alive_together(const BufferLife& a, const BufferLife& b) {
  return a.first <= b.last && b.first <= a.last;
}

void check(std::span<const BufferLife> buffers, std::size_t alignment) {
  if (!std::has_single_bit(alignment))
    throw std::invalid_argument("arena: expected a power of two as alignment, found " +
                                std::to_string(alignment));
  for (std::size_t i = 0; i < buffers.size(); ++i) {
    if (buffers[i].first > buffers[i].last)
      throw std::invalid_argument("arena: expected buffer " + std::to_string(i) +
                                  " to end where it begins or later, found operations " +
                                  std::to_string(buffers[i].first) + " to " +
                                  std::to_string(buffers[i].last));
  }
}

/// Sizes change only where lifetimes begin, so only those operations are looked at.
std::size_t most_alive(std::span<const BufferLife> buffers, std::size_t alignment) {
  std::map<int, std::size_t> begun, ended;  // bytes at an operation
  for (const BufferLife& b : buffers) {
    const std::size_t bytes = (b.bytes + alignment - 1) / alignment * alignment;
    begun[b.first] += bytes;
    ended[b.last + 1] += bytes;
  }
  std::size_t alive = 0, most = 0;
  auto end = ended.begin();
  for (const auto& [operation, bytes] : begun) {
    for (; end != ended.end() && end->first <= operation; ++end) alive -= end->second;
    alive += bytes;
    most = std::max(most, alive);
  }
  return most;
}

}  // namespace

ArenaPlan plan_arena(std::span<const BufferLife> buffers, std::size_t alignment) {
  check(buffers, alignment);
  ArenaPlan plan{.offsets = std::vector<std::size_t>(buffers.size()),
                 .bytes = 0,
                 .most_alive = most_alive(buffers, alignment)};
  std::vector<std::size_t> order(buffers.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return buffers[a].bytes > buffers[b].bytes; });
  std::vector<std::size_t> placed;  // by offset
  for (const std::size_t i : order) {
    if (buffers[i].bytes == 0)
      continue;
    std::size_t offset = 0;
    for (const std::size_t other : placed) {
      if (!alive_together(buffers[i], buffers[other]))
        continue;
      if (plan.offsets[other] >= offset + buffers[i].bytes)
        break;  // the gap before this one is wide enough
      const std::size_t end = plan.offsets[other] + buffers[other].bytes;
      offset = std::max(offset, (end + alignment - 1) / alignment * alignment);
    }
    plan.offsets[i] = offset;
    plan.bytes = std::max(plan.bytes, offset + buffers[i].bytes);
    placed.insert(
        std::upper_bound(placed.begin(), placed.end(), i,
                         [&](std::size_t a, std::size_t b) { return plan.offsets[a] < plan.offsets[b]; }),
        i);
  }
  return plan;
}

}  // namespace assay::kernels::compile
