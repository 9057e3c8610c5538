// SPDX-License-Identifier: Apache-2.0
// See safetensors_header_reader.hpp. The JSON is read event by event into exactly the structure the format
// has, so that a hostile header (deep nesting, a shape of a million extents, a key given twice) is refused
// where it begins and never built in memory.
#include "harness/io/safetensors_header_reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "harness/core/outcome.hpp"
#include "harness/io/strict_json.hpp"

namespace assay::harness {
namespace {

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

}  // namespace

void read_header_text(std::string_view text, SafetensorsHeader& header) {
  require_plain_json_text(text);
  if (!text.starts_with('{')) {
    throw UsageError("expected the header to start with '{', found " +
                     (text.empty() ? "no header at all" : quote(text.substr(0, 1))));
  }
  HeaderReader reader(header);
  json::sax_parse(text.begin(), text.end(), &reader);
}

}  // namespace assay::harness
