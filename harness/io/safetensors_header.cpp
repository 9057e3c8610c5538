// SPDX-License-Identifier: Apache-2.0
// See safetensors_header.hpp: the length in front and the layout behind; safetensors_header_reader.cpp reads
// the text between them.
#include "harness/io/safetensors_header.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <vector>

#include "harness/core/outcome.hpp"
#include "harness/io/safetensors_header_reader.hpp"
#include "harness/io/strict_json.hpp"

namespace assay::harness {
namespace {

static_assert(std::endian::native == std::endian::little,
              "safetensors files are little-endian and are read in place");

std::string_view header_text(std::span<const std::byte> file) {
  std::uint64_t length = 0;
  if (file.size() < sizeof(length)) {
    throw UsageError(fmt::format("expected 8 bytes of header length, found a file of {} bytes", file.size()));
  }
  std::memcpy(&length, file.data(), sizeof(length));
  if (length > kMaxHeaderBytes) {
    throw UsageError(fmt::format("expected a header of at most {} bytes, found a header length of {}",
                                 kMaxHeaderBytes, length));
  }
  const auto rest = file.subspan(sizeof(length));
  if (length > rest.size()) {
    throw UsageError(
        fmt::format("expected a header of {} bytes, found {} bytes after its length: it is cut off", length,
                    rest.size()));
  }
  return as_text(rest.first(length));
}

/// Size of every tensor against its range, and the ranges against each other and the file.
void check_layout(const SafetensorsHeader& header, std::uint64_t data_bytes) {
  std::vector<std::pair<std::string_view, const SafetensorsHeader::Entry*>> order;
  order.reserve(header.tensors.size());
  for (const auto& [name, entry] : header.tensors) {
    order.emplace_back(name, &entry);
  }
  std::sort(order.begin(), order.end(), [](const auto& a, const auto& b) {
    return std::pair(a.second->begin, a.second->end) < std::pair(b.second->begin, b.second->end);
  });
  std::uint64_t at = 0;
  for (const auto& [name, entry] : order) {
    const auto fail = [&, name = name, entry = entry](const std::string& expected) {
      throw UsageError(fmt::format("tensor {}: expected {}, found data_offsets [{}, {}]", quote(name),
                                   expected, entry->begin, entry->end));
    };
    if (entry->end < entry->begin || entry->end > data_bytes) {
      fail(fmt::format("a range within the {} bytes of data in the file", data_bytes));
    }
    if (entry->begin != at) {
      fail(fmt::format("it to start at byte {}, where the tensor before it ends (no hole, no overlap)", at));
    }
    std::uint64_t size = 0;
    try {
      size = stored_bytes(entry->dtype, entry->shape);
    } catch (const UsageError& error) {
      throw UsageError(fmt::format("tensor {}: {}", quote(name), error.what()));
    }
    if (entry->end - entry->begin != size) {
      fail(fmt::format("{} bytes for shape {} of {}", size, shape_text(entry->shape), name_of(entry->dtype)));
    }
    at = entry->end;
  }
  if (at != data_bytes) {
    throw UsageError(fmt::format(
        "expected the tensors to fill the {} bytes after the header, found {} bytes behind the last tensor",
        data_bytes, data_bytes - at));
  }
}

}  // namespace

SafetensorsHeader parse_header(std::span<const std::byte> file) {
  const std::string_view text = header_text(file);
  SafetensorsHeader header;
  read_header_text(text, header);
  header.data_start = sizeof(std::uint64_t) + text.size();
  check_layout(header, file.size() - header.data_start);
  return header;
}

TensorTable tensors_in(std::span<const std::byte> file, const SafetensorsHeader& header) {
  TensorTable table;
  const auto data = file.subspan(header.data_start);
  for (const auto& [name, entry] : header.tensors) {
    table.emplace(name,
                  StoredTensor{entry.dtype, entry.shape, data.subspan(entry.begin, entry.end - entry.begin)});
  }
  return table;
}

}  // namespace assay::harness
