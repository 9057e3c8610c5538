// SPDX-License-Identifier: Apache-2.0
#include "kernels/fsdp/checkpoint/parts.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <stdexcept>
#include <utility>

namespace assay::kernels::fsdp {
namespace {

constexpr std::array<std::pair<const char*, int>, 5> kElements = {
    {{"U8", 1}, {"F16", 2}, {"BF16", 2}, {"F32", 4}, {"I64", 8}}};

[[noreturn]] void refuse(const std::string& name, const std::string& expected, const std::string& found) {
  throw std::invalid_argument("tensor " + name + ": expected " + expected + ", found " + found);
}

std::string range(std::int64_t first, std::int64_t end) {
  std::string text = "[";  // not one +-chain: GCC 12 sees an overlap in it that is not there (gcc PR 105651)
  return text.append(std::to_string(first)).append(", ").append(std::to_string(end)).append(")");
}

void check_inside(const StoredPart& stored, const ShardReceipt& shard) {
  const TensorPart& part = stored.part;
  const std::int64_t elements = part.type.elements();
  if (part.first < 0 || part.count < 1 || part.first > elements || part.count > elements - part.first)
    refuse(part.name, "elements within " + range(0, elements), range(part.first, part.first + part.count));
  const auto bytes =
      static_cast<std::uint64_t>(part.count) * static_cast<std::uint64_t>(bytes_of(part.type.element));
  if (stored.offset > shard.bytes || bytes > shard.bytes - stored.offset)
    refuse(part.name, "its bytes within the " + std::to_string(shard.bytes) + " of " + shard.file,
           std::to_string(bytes) + " from " + std::to_string(stored.offset) + " on");
}

using Runs = std::vector<std::pair<std::int64_t, std::int64_t>>;  // first, end

void check_covered(const std::string& name, const TensorType& type, Runs runs) {
  std::sort(runs.begin(), runs.end());
  std::int64_t next = 0;
  for (const auto& [first, end] : runs) {
    if (first != next)
      refuse(name, "the next part to begin at element " + std::to_string(next),
             (first < next ? "an overlapping part " : "a gap before ") + range(first, end));
    next = end;
  }
  if (next != type.elements())
    refuse(name, "all " + std::to_string(type.elements()) + " elements", "the first " + std::to_string(next));
}

}  // namespace

std::int64_t bytes_of(Element element) {
  return kElements.at(static_cast<std::size_t>(element)).second;
}

std::string name_of(Element element) {
  return kElements.at(static_cast<std::size_t>(element)).first;
}

Element parse_element(const std::string& name) {
  for (std::size_t i = 0; i < kElements.size(); ++i)
    if (name == kElements[i].first)
      return static_cast<Element>(i);
  throw std::invalid_argument("expected an element type U8, F16, BF16, F32 or I64, found '" + name + "'");
}

std::int64_t TensorType::elements() const {
  std::int64_t product = 1;
  for (const std::int64_t extent : shape) {
    if (extent < 0 || (extent > 0 && product > std::numeric_limits<std::int64_t>::max() / 8 / extent))
      throw std::invalid_argument(
          "tensor shape: expected extents of at least 0 and less than 2^60 elements, found " +
          std::to_string(extent));
    product *= extent;
  }
  return product;
}

std::map<std::string, TensorType> tensors_of(std::span<const ShardReceipt> shards) {
  std::map<std::string, TensorType> tensors;
  std::map<std::string, Runs> runs;
  for (const ShardReceipt& shard : shards)
    for (const StoredPart& stored : shard.parts) {
      check_inside(stored, shard);
      const TensorPart& part = stored.part;
      if (const auto [known, added] = tensors.emplace(part.name, part.type);
          !added && known->second != part.type)
        refuse(part.name, "one type in all shards", "another in " + shard.file);
      runs[part.name].emplace_back(part.first, part.first + part.count);
    }
  for (const auto& [name, type] : tensors) check_covered(name, type, runs[name]);
  return tensors;
}

}  // namespace assay::kernels::fsdp
