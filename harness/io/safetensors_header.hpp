// SPDX-License-Identifier: Apache-2.0
// The header of a safetensors file, read strictly: every byte of the file is accounted for or the file is
// refused.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>

#include "harness/io/stored_tensor.hpp"

namespace assay::harness {

/// The reference implementation's limits; torch has no tensors of more dimensions.
inline constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;
inline constexpr std::size_t kMaxRank = 64;

struct SafetensorsHeader {
  struct Entry {
    StoredDtype dtype = StoredDtype::kU8;
    std::vector<std::int64_t> shape;
    std::uint64_t begin = 0, end = 0;  ///< within the data, which starts at `data_start`
  };
  std::map<std::string, Entry, std::less<>> tensors;
  std::map<std::string, std::string> metadata;
  std::size_t data_start = 0;
};

/// Reads and checks the header at the front of `file`, all bytes of a safetensors file: a little-endian u64
/// length, that many bytes of JSON, then the tensors one after the other without hole or overlap up to the
/// last byte. Looks at no tensor's contents; memory stays within a small multiple of the header's length.
/// Throws UsageError that names the tensor, what was expected and what was found.
SafetensorsHeader parse_header(std::span<const std::byte> file);

/// The tensors of `file` by name, as views into it. `header` is parse_header(file).
TensorTable tensors_in(std::span<const std::byte> file, const SafetensorsHeader& header);

}  // namespace assay::harness
