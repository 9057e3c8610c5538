// SPDX-License-Identifier: Apache-2.0
#include "kernels/compile/checkpoint/json_object.hpp"

#include <cmath>
#include <fstream>
#include <set>
#include <stdexcept>
#include <vector>

namespace assay::kernels::compile::checkpoint {
namespace {

constexpr int kDeepest = 8;
constexpr double kMostOfCount = 1 << 30;
constexpr std::uintmax_t kMostBytes = 64 << 20;

std::invalid_argument refusal(const std::string& expected, const std::string& found) {
  return std::invalid_argument("expected " + expected + ", found " + found);
}

/// Sees the text while it is parsed: nlohmann keeps the last of two equal keys without a word.
class Watch {
 public:
  bool operator()(int depth, Json::parse_event_t event, const Json& value) {
    using Event = Json::parse_event_t;
    if (event == Event::object_start || event == Event::array_start) {
      if (depth >= kDeepest)
        throw refusal("at most " + std::to_string(kDeepest) + " containers inside each other", "more");
      keys_.emplace_back();
    } else if (event == Event::object_end || event == Event::array_end) {
      keys_.pop_back();
    } else if (event == Event::key && !keys_.back().insert(value.get<std::string>()).second) {
      throw refusal("the key '" + value.get<std::string>() + "' once", "it twice");
    }
    return true;
  }

 private:
  std::vector<std::set<std::string>> keys_;
};

}  // namespace

std::string shown(const Json& value) {
  constexpr std::size_t kMost = 120;
  std::string text = value.dump(-1, ' ', /*ensure_ascii=*/true, Json::error_handler_t::replace);
  return text.size() <= kMost ? text : text.substr(0, kMost) + "…";
}

bool JsonObject::has(const std::string& key) const {
  return object_.contains(key) && !object_.at(key).is_null();
}

void JsonObject::refuse(const std::string& key, const std::string& expected) const {
  throw std::invalid_argument("key '" + path_ + key + "': expected " + expected + ", found " +
                              (object_.contains(key) ? shown(object_.at(key)) : "nothing"));
}

void JsonObject::require(bool holds, const std::string& key, const std::string& expected) const {
  if (!holds)
    refuse(key, expected);
}

std::int64_t JsonObject::count(const std::string& key, std::optional<std::int64_t> fallback) const {
  if (!has(key) && fallback)
    return *fallback;
  const bool fits = has(key) && at(key).is_number_integer() && at(key).get<double>() >= 1 &&
                    at(key).get<double>() <= kMostOfCount;
  require(fits, key, "a whole number from 1 to 2^30");
  return at(key).get<std::int64_t>();
}

double JsonObject::number(const std::string& key, std::optional<double> fallback) const {
  if (!has(key) && fallback)
    return *fallback;
  require(has(key) && at(key).is_number() && std::isfinite(at(key).get<double>()), key, "a finite number");
  return at(key).get<double>();
}

double JsonObject::positive(const std::string& key, std::optional<double> fallback) const {
  const double value = number(key, fallback);
  require(value > 0, key, "a number above 0");
  return value;
}

bool JsonObject::flag(const std::string& key, bool fallback) const {
  if (!has(key))
    return fallback;
  require(at(key).is_boolean(), key, "true or false");
  return at(key).get<bool>();
}

std::string JsonObject::text(const std::string& key, std::optional<std::string> fallback) const {
  if (!has(key) && fallback)
    return *fallback;
  require(has(key) && at(key).is_string(), key, "a string");
  return at(key).get<std::string>();
}

JsonObject JsonObject::object(const std::string& key) const {
  require(has(key) && at(key).is_object(), key, "an object");
  return JsonObject(at(key), path_ + key + ".");
}

Json parse_object(std::string_view text) {
  Json parsed;
  try {
    Watch watch;
    parsed = Json::parse(text.begin(), text.end(), [&](int depth, Json::parse_event_t event, Json& value) {
      return watch(depth, event, value);
    });
  } catch (const Json::exception& error) {
    throw refusal("a JSON object", std::string("text that is none: ") + error.what());
  }
  if (!parsed.is_object())
    throw refusal("a JSON object", shown(parsed));
  return parsed;
}

std::string read_text(const std::filesystem::path& path) {
  std::error_code error;
  const std::uintmax_t bytes = std::filesystem::file_size(path, error);
  if (error)
    throw std::invalid_argument(path.string() + ": expected a readable file, found: " + error.message());
  if (bytes > kMostBytes)
    throw std::invalid_argument(path.string() + ": expected at most 64 MiB of text, found " +
                                std::to_string(bytes) + " bytes");
  std::string text(bytes, '\0');
  if (!std::ifstream(path, std::ios::binary).read(text.data(), static_cast<std::streamsize>(bytes)))
    throw std::invalid_argument(path.string() + ": expected " + std::to_string(bytes) +
                                " readable bytes, found fewer");
  return text;
}

}  // namespace assay::kernels::compile::checkpoint
