// SPDX-License-Identifier: Apache-2.0
// JSON out of files that others wrote. Every refusal names the key, what was expected and what was found.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace assay::kernels::compile::checkpoint {

using Json = nlohmann::json;

/// `value` as text of at most 120 bytes, for messages.
std::string shown(const Json& value);

/// A view of one object. A key that is null counts as missing; what is missing takes the fallback, or is
/// refused where there is none. All throw std::invalid_argument.
class JsonObject {
 public:
  /// `object` must be one and outlive this; `path` stands before its keys in messages: "rope_scaling.".
  explicit JsonObject(const Json& object, std::string path = {}) : object_(object), path_(std::move(path)) {}

  bool has(const std::string& key) const;
  /// From 1 to 2^30.
  std::int64_t count(const std::string& key, std::optional<std::int64_t> fallback = {}) const;
  double number(const std::string& key, std::optional<double> fallback = {}) const;  ///< finite
  double positive(const std::string& key, std::optional<double> fallback = {}) const;
  bool flag(const std::string& key, bool fallback) const;
  std::string text(const std::string& key, std::optional<std::string> fallback = {}) const;
  JsonObject object(const std::string& key) const;
  const Json& at(const std::string& key) const { return object_.at(key); }
  const Json& json() const { return object_; }

  /// Refuses where `holds` does not.
  void require(bool holds, const std::string& key, const std::string& expected) const;
  [[noreturn]] void refuse(const std::string& key, const std::string& expected) const;

 private:
  const Json& object_;
  std::string path_;
};

/// One object, no key in it given twice, at most 8 containers inside each other. Throws
/// std::invalid_argument.
Json parse_object(std::string_view text);

/// The text of a file of at most 64 MiB. Throws std::invalid_argument that begins with the path.
std::string read_text(const std::filesystem::path& path);

}  // namespace assay::kernels::compile::checkpoint
