// SPDX-License-Identifier: Apache-2.0
#include "reference/llama/json_fields.hpp"

#include <cmath>
#include <fstream>
#include <set>
#include <stdexcept>
#include <vector>

namespace assay::reference::llama {
namespace {

using nlohmann::json;
constexpr std::size_t kShownBytes = 120;

std::string shown(const json& value) {
  std::string text = value.dump(-1, ' ', true, json::error_handler_t::replace);
  if (text.size() > kShownBytes)
    text = text.substr(0, kShownBytes) + "…";
  return text;
}

}  // namespace

json parse_object(std::string_view text, int max_depth) {
  std::vector<std::set<std::string>> keys;
  const auto watch = [&](int depth, json::parse_event_t event, json& value) {
    if (event == json::parse_event_t::object_start || event == json::parse_event_t::array_start) {
      if (depth >= max_depth)
        throw std::invalid_argument("expected at most " + std::to_string(max_depth) +
                                    " levels of JSON, found more");
      keys.emplace_back();
    } else if (event == json::parse_event_t::object_end || event == json::parse_event_t::array_end) {
      keys.pop_back();
    } else if (event == json::parse_event_t::key && !keys.back().insert(value.get<std::string>()).second) {
      refuse_key(value.get<std::string>(), "it once", "it twice");
    }
    return true;
  };
  json parsed;
  try {
    parsed = json::parse(text.begin(), text.end(), watch);
  } catch (const json::exception& error) {
    throw std::invalid_argument(std::string("expected JSON, found: ") + error.what());
  }
  if (!parsed.is_object())
    throw std::invalid_argument("expected a JSON object, found " + shown(parsed));
  return parsed;
}

std::string read_text(const std::filesystem::path& path, std::uintmax_t max_bytes) {
  std::error_code error;
  const std::uintmax_t size = std::filesystem::file_size(path, error);
  if (error)
    throw std::invalid_argument(path.string() + ": expected a readable file, found: " + error.message());
  if (size > max_bytes)
    throw std::invalid_argument(path.string() + ": expected at most " + std::to_string(max_bytes) +
                                " bytes, found " + std::to_string(size));
  std::string text(size, '\0');
  std::ifstream file(path, std::ios::binary);
  if (!file.read(text.data(), static_cast<std::streamsize>(size)))
    throw std::invalid_argument(path.string() + ": expected " + std::to_string(size) +
                                " readable bytes, found fewer");
  return text;
}

void refuse_key(const std::string& key, const std::string& expected, const json& found) {
  throw std::invalid_argument("key '" + key + "': expected " + expected + ", found " + shown(found));
}

void refuse_key(const std::string& key, const std::string& expected) {
  throw std::invalid_argument("key '" + key + "': expected " + expected + ", found nothing");
}

void Fields::refuse(const char* key, const std::string& expected) const {
  if (!object_.contains(key))
    refuse_key(name(key), expected);
  refuse_key(name(key), expected, object_.at(key));
}

std::int64_t Fields::positive(const char* key, std::optional<std::int64_t> fallback) const {
  if (!has(key) && fallback)
    return *fallback;
  constexpr std::int64_t kMost = 1 << 30;
  if (!has(key) || !raw(key).is_number_integer() || raw(key).get<double>() < 1 ||
      raw(key).get<double>() > static_cast<double>(kMost))
    refuse(key, "a whole number from 1 to " + std::to_string(kMost));
  return raw(key).get<std::int64_t>();
}

double Fields::number(const char* key, std::optional<double> fallback) const {
  if (!has(key) && fallback)
    return *fallback;
  if (!has(key) || !raw(key).is_number() || !std::isfinite(raw(key).get<double>()))
    refuse(key, "a finite number");
  return raw(key).get<double>();
}

bool Fields::flag(const char* key, bool fallback) const {
  if (!has(key))
    return fallback;
  if (!raw(key).is_boolean())
    refuse(key, "true or false");
  return raw(key).get<bool>();
}

std::string Fields::text(const char* key, std::optional<std::string> fallback) const {
  if (!has(key) && fallback)
    return *fallback;
  if (!has(key) || !raw(key).is_string())
    refuse(key, "a string");
  return raw(key).get<std::string>();
}

Fields Fields::object(const char* key) const {
  if (!has(key) || !raw(key).is_object())
    refuse(key, "an object");
  return Fields(raw(key), name(key) + ".");
}

}  // namespace assay::reference::llama
