// SPDX-License-Identifier: Apache-2.0
#include "kernels/compile/checkpoint/device/placed_weights.hpp"

#include <array>
#include <stdexcept>

namespace assay::kernels::compile::checkpoint {
namespace {

constexpr std::size_t kAlignment = 256;

std::size_t aligned(std::size_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

/// A packed weight's arrays one behind the other, each from a multiple of 256 on.
struct Piece {
  const void* from = nullptr;
  std::size_t bytes = 0;
};
std::array<Piece, 5> pieces_of(const nf4::PackedWeights& w) {
  const auto count = static_cast<std::size_t>(w.num_weights),
             blocks = static_cast<std::size_t>(w.num_blocks()),
             size = static_cast<std::size_t>(w.nested_block_size);
  return {{{w.packed, (count + 1) / 2},
           {w.absmax_codes, blocks},
           {w.nested_absmax, (blocks + size - 1) / size * sizeof(float)},
           {w.nested_code, 256 * sizeof(float)},
           {w.nested_offset, sizeof(float)}}};
}

std::size_t bytes_of(const nf4::PackedWeights& w) {
  std::size_t bytes = 0;
  for (const Piece& piece : pieces_of(w)) bytes += aligned(piece.bytes);
  return bytes;
}

std::size_t bytes_of(const Buffer& buffer) {
  const std::int64_t count = buffer.rows * buffer.columns;
  if (buffer.element == Element::kPacked) {
    nf4::PackedWeights usual;
    usual.num_weights = count;
    return bytes_of(usual);
  }
  return static_cast<std::size_t>(count) * (buffer.element == Element::kFloat32 ? 4 : 2);
}

}  // namespace

PlacedWeights::PlacedWeights(const Program& program, WeightOwner& owner) : owner_(owner) {
  for (const Buffer& buffer : program.buffers) {
    if (buffer.role != Role::kFrozen)
      continue;
    places_[buffer.name] = {bytes_, bytes_of(buffer)};
    bytes_ += aligned(bytes_of(buffer));
  }
  memory_ = owner.allocate(bytes_);
}

const PlacedWeights::Place& PlacedWeights::place_of(const std::string& name) const {
  const auto found = places_.find(name);
  if (found == places_.end())
    throw std::out_of_range("placed weights: expected a frozen buffer of the step, found '" + name + "'");
  return found->second;
}

void PlacedWeights::dense(const std::string& name, std::span<const std::byte> elements) {
  const Place& place = place_of(name);
  if (elements.size() != place.bytes)
    throw std::invalid_argument("placed weights: expected " + std::to_string(place.bytes) + " bytes for '" +
                                name + "', found " + std::to_string(elements.size()));
  owner_.copy(memory_ + place.offset, elements.data(), elements.size());
  owner_.bind(name, memory_ + place.offset);
}

void PlacedWeights::packed(const std::string& name, const nf4::PackedWeights& weights) {
  const Place& place = place_of(name);
  std::byte* at =
      bytes_of(weights) <= place.bytes ? memory_ + place.offset : owner_.allocate(bytes_of(weights));
  std::array<std::byte*, 5> placed{};
  const auto pieces = pieces_of(weights);
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    owner_.copy(at, pieces[i].from, pieces[i].bytes);
    placed[i] = at;
    at += aligned(pieces[i].bytes);
  }
  nf4::PackedWeights there = weights;
  there.packed = reinterpret_cast<const std::uint8_t*>(placed[0]);
  there.absmax_codes = reinterpret_cast<const std::uint8_t*>(placed[1]);
  there.nested_absmax = reinterpret_cast<const float*>(placed[2]);
  there.nested_code = reinterpret_cast<const float*>(placed[3]);
  there.nested_offset = reinterpret_cast<const float*>(placed[4]);
  owner_.bind(name, there);
}

void PlacedWeights::adapter(const std::string& name, std::span<const float> values) {
  owner_.set(name, values);
}

}  // namespace assay::kernels::compile::checkpoint
