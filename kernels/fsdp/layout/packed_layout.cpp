// SPDX-License-Identifier: Apache-2.0
#include "kernels/fsdp/layout/packed_layout.hpp"

#include <algorithm>
#include <bit>
#include <set>
#include <stdexcept>

namespace assay::kernels::fsdp {
namespace {

[[noreturn]] void refuse(const std::string& expected, const std::string& found) {
  throw std::invalid_argument("packed layout: expected " + expected + ", found " + found);
}

bool power_of_two(std::int32_t n) {
  return n > 0 && std::has_single_bit(static_cast<std::uint32_t>(n));
}

void check(const std::vector<PackedParameter>& parameters, const PackedFormat& format) {
  if (!power_of_two(format.block_size) || format.block_size < 32 || format.block_size > 4096)
    refuse("block_size to be a power of two from 32 to 4096", std::to_string(format.block_size));
  if (!power_of_two(format.nested_block_size))
    refuse("nested_block_size to be a power of two", std::to_string(format.nested_block_size));
  std::set<std::string> names;
  for (const PackedParameter& parameter : parameters) {
    if (parameter.rows < 1 || parameter.columns < 1)
      refuse("at least one row and column in " + parameter.name,
             std::to_string(parameter.rows) + "x" + std::to_string(parameter.columns));
    if (!names.insert(parameter.name).second)
      refuse("every parameter once", parameter.name + " twice");
  }
}

std::int64_t round_up(std::int64_t value, std::int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

}  // namespace

PackedLayout::PackedLayout(std::vector<PackedParameter> parameters, int world, Sharding sharding,
                           PackedFormat format)
    : parameters_(std::move(parameters)), format_(format), world_(world) {
  check(parameters_, format_);
  std::int64_t groups = 0;
  const auto end_section = [&] {
    const Section section{Split(groups, world_), shard_bytes_};
    shard_bytes_ += round_up(section.groups.chunk() * format_.group_bytes(), kSectionAlignment);
    sections_.push_back(section);
    groups = 0;
  };
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    section_of_.push_back(sections_.size());
    first_group_of_.push_back(groups);
    groups += groups_of(i);
    if (sharding == Sharding::kPerParameter || i + 1 == parameters_.size())
      end_section();
  }
}

std::int64_t PackedLayout::groups_of(std::size_t parameter) const {
  return (parameters_[parameter].weights() + format_.group_weights() - 1) / format_.group_weights();
}

std::int64_t PackedLayout::unsharded_bytes() const {
  std::int64_t groups = 0;
  for (std::size_t i = 0; i < parameters_.size(); ++i) groups += groups_of(i);
  return groups * format_.group_bytes();
}

std::vector<Piece> PackedLayout::pieces(std::size_t parameter) const {
  const Section& section = sections_.at(section_of_.at(parameter));
  const std::int64_t chunk = section.groups.chunk(), begin = first_group_of_[parameter],
                     end = begin + groups_of(parameter);
  const std::int64_t absmax = section.offset + chunk * format_.group_codes_bytes(),
                     nested = absmax + chunk * format_.group_absmax_bytes();
  std::vector<Piece> pieces;
  for (std::int64_t group = begin; group < end;) {
    const int rank = section.groups.owner(group);
    const std::int64_t local = section.groups.local(group), run = std::min(end - group, chunk - local);
    const std::int64_t first = (group - begin) * format_.group_weights();
    pieces.push_back(
        {.rank = rank,
         .first_weight = first,
         .weights = std::min(run * format_.group_weights(), parameters_[parameter].weights() - first),
         .codes = section.offset + local * format_.group_codes_bytes(),
         .absmax_codes = absmax + local * format_.group_absmax_bytes(),
         .nested_absmax = nested + local * 4});
    group += run;
  }
  return pieces;
}

}  // namespace assay::kernels::fsdp
