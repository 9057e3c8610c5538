// SPDX-License-Identifier: Apache-2.0
// See safetensors_header.hpp. The JSON is read event by event into exactly the structure the format has, so
// that a hostile header (deep nesting, a shape of a million extents, a key given twice) is refused where it
// begins and never built in memory.
#include "harness/io/safetensors_header.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <nlohmann/json.hpp>
#include <vector>

#include "harness/core/outcome.hpp"
#include "harness/io/strict_json.hpp"

namespace assay::harness {
namespace {

static_assert(std::endian::native == std::endian::little,
              "safetensors files are little-endian and are read in place");

using nlohmann::json;
constexpr std::string_view kMetadataKey = "__metadata__";

/// Takes the parser's events and throws at the first that does not belong where it stands.
class HeaderReader : public json::json_sax_t {
 public:
  explicit HeaderReader(SafetensorsHeader& header) : header_(header) {}

  bool null() override { return refuse("null"); }
  bool boolean(bool value) override { return refuse(value ? "true" : "false"); }
  bool number_integer(std::int64_t value) override { return refuse(std::to_string(value)); }
  bool number_float(double, const std::string& text) override { return refuse("the number " + quote(text)); }
  bool binary(json::binary_t&) override { return refuse("binary data"); }
  bool number_unsigned(std::uint64_t value) override;
  bool string(std::string& text) override;
  bool start_object(std::size_t) override;
  bool key(std::string& key) override;
  bool end_object() override;
  bool start_array(std::size_t) override;
  bool end_array() override;
  bool parse_error(std::size_t position, const std::string&, const json::exception& error) override {
    throw UsageError(fmt::format("expected the header to be JSON, found a syntax error at byte {} of it: {}",
                                 position, quote(error.what())));
  }

 private:
  enum class Place { kOutside, kRoot, kMetadata, kTensor, kShape, kOffsets };

  [[noreturn]] bool refuse(const std::string& found) const;
  std::string expected() const;
  void finish_tensor();

  SafetensorsHeader& header_;
  Place place_ = Place::kOutside;
  std::string name_;   ///< key of the root object that is open
  std::string field_;  ///< key inside it
  bool seen_metadata_ = false;
  std::vector<std::string> seen_fields_;
  SafetensorsHeader::Entry entry_;
  std::vector<std::uint64_t> offsets_;
};

std::string HeaderReader::expected() const {
  switch (place_) {
    case Place::kOutside:
      return "expected the header to be one JSON object";
    case Place::kRoot:
      return fmt::format("tensor {}: expected an object with dtype, shape and data_offsets", quote(name_));
    case Place::kMetadata:
      return fmt::format("__metadata__: expected a string for {}", quote(field_));
    case Place::kTensor:
      return fmt::format("tensor {}: expected {} to be {}", quote(name_), field_,
                         field_ == "dtype"   ? "a string"
                         : field_ == "shape" ? "an array of integers"
                                             : "an array of two integers");
    case Place::kShape:
    case Place::kOffsets:
      break;
  }
  return fmt::format("tensor {}: expected integers from 0 to 2^63 - 1 in {}", quote(name_), field_);
}

bool HeaderReader::refuse(const std::string& found) const {
  throw UsageError(fmt::format("{}, found {}", expected(), found));
}

bool HeaderReader::number_unsigned(std::uint64_t value) {
  if ((place_ != Place::kShape && place_ != Place::kOffsets) || value > INT64_MAX) {
    refuse(std::to_string(value));
  }
  if (place_ == Place::kOffsets) {
    if (offsets_.size() == 2) {
      refuse("a third one");
    }
    offsets_.push_back(value);
  } else {
    if (entry_.shape.size() == kMaxRank) {
      throw UsageError(
          fmt::format("tensor {}: expected at most {} dimensions, found more", quote(name_), kMaxRank));
    }
    entry_.shape.push_back(static_cast<std::int64_t>(value));
  }
  return true;
}

bool HeaderReader::string(std::string& text) {
  if (place_ == Place::kMetadata) {
    header_.metadata[field_] = text;
    return true;
  }
  if (place_ != Place::kTensor || field_ != "dtype") {
    refuse("the string " + quote(text));
  }
  const auto dtype = stored_dtype_from_name(text);
  if (!dtype) {
    throw UsageError(fmt::format("tensor {}: expected one of the dtypes {}, found {}", quote(name_),
                                 known_stored_dtypes(), quote(text)));
  }
  entry_.dtype = *dtype;
  return true;
}

bool HeaderReader::start_object(std::size_t) {
  if (place_ == Place::kOutside) {
    place_ = Place::kRoot;
  } else if (place_ == Place::kRoot) {
    place_ = name_ == kMetadataKey ? Place::kMetadata : Place::kTensor;
    entry_ = {};
    offsets_.clear();
    seen_fields_.clear();
  } else {
    refuse("an object");
  }
  return true;
}

bool HeaderReader::key(std::string& key) {
  const auto twice = [&](const std::string& where) {
    throw UsageError(fmt::format("expected {} once{}, found it twice", quote(key), where));
  };
  if (place_ == Place::kRoot) {
    if (header_.tensors.contains(key) || (key == kMetadataKey && seen_metadata_)) {
      twice(" in the header");
    }
    seen_metadata_ |= key == kMetadataKey;
    name_ = key;
  } else if (place_ == Place::kMetadata) {
    if (header_.metadata.contains(key)) {
      twice(" in __metadata__");
    }
    field_ = key;
  } else {
    if (key != "dtype" && key != "shape" && key != "data_offsets") {
      throw UsageError(fmt::format("tensor {}: expected the fields dtype, shape and data_offsets, found {}",
                                   quote(name_), quote(key)));
    }
    if (std::find(seen_fields_.begin(), seen_fields_.end(), key) != seen_fields_.end()) {
      twice(" in tensor " + quote(name_));
    }
    seen_fields_.push_back(key);
    field_ = key;
  }
  return true;
}

bool HeaderReader::end_object() {
  if (place_ == Place::kTensor) {
    finish_tensor();
  }
  place_ = place_ == Place::kRoot ? Place::kOutside : Place::kRoot;
  return true;
}

bool HeaderReader::start_array(std::size_t) {
  if (place_ != Place::kTensor || field_ == "dtype") {
    refuse("an array");
  }
  place_ = field_ == "shape" ? Place::kShape : Place::kOffsets;
  return true;
}

bool HeaderReader::end_array() {
  place_ = Place::kTensor;
  return true;
}

void HeaderReader::finish_tensor() {
  for (const char* field : {"dtype", "shape", "data_offsets"}) {
    if (std::find(seen_fields_.begin(), seen_fields_.end(), field) == seen_fields_.end()) {
      throw UsageError(fmt::format("tensor {}: expected the field {}, found none", quote(name_), field));
    }
  }
  if (offsets_.size() != 2) {
    throw UsageError(fmt::format("tensor {}: expected data_offsets to be [begin, end], found {} numbers",
                                 quote(name_), offsets_.size()));
  }
  entry_.begin = offsets_[0];
  entry_.end = offsets_[1];
  header_.tensors.emplace(name_, std::move(entry_));
}

std::string_view header_text(std::span<const std::byte> file) {
  std::uint64_t length = 0;
  if (file.size() < sizeof(length)) {
    throw UsageError(fmt::format("expected 8 bytes of header length, found a file of {} bytes", file.size()));
  }
  std::memcpy(&length, file.data(), sizeof(length));
  if (length > kMaxHeaderBytes) {
    throw UsageError(
        fmt::format("expected a header of at most {} bytes, found a header length of {}: not a "
                    "safetensors file, or a damaged one",
                    kMaxHeaderBytes, length));
  }
  const auto rest = file.subspan(sizeof(length));
  if (length > rest.size()) {
    throw UsageError(
        fmt::format("expected a header of {} bytes, found {} bytes after its length: the file is cut off",
                    length, rest.size()));
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
  require_plain_json_text(text);
  if (!text.starts_with('{')) {
    throw UsageError("expected the header to start with '{', found " +
                     (text.empty() ? "no header at all" : quote(text.substr(0, 1))));
  }
  SafetensorsHeader header;
  HeaderReader reader(header);
  json::sax_parse(text.begin(), text.end(), &reader);
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
