// SPDX-License-Identifier: Apache-2.0
// Reading JSON from files that others wrote: every refusal names the key, what was expected and what was
// found.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace assay::reference::llama {

/// An object without a key given twice and at most `max_depth` containers deep; throws std::invalid_argument
/// otherwise.
nlohmann::json parse_object(std::string_view text, int max_depth = 8);

/// The whole file; throws std::invalid_argument when it cannot be read or is larger than `max_bytes`.
std::string read_text(const std::filesystem::path& path, std::uintmax_t max_bytes = 64 << 20);

/// "key 'a.b': expected …, found …"
[[noreturn]] void refuse_key(const std::string& key, const std::string& expected,
                             const nlohmann::json& found);
[[noreturn]] void refuse_key(const std::string& key, const std::string& expected);  // found: nothing

/// Typed access to one object. A key that is missing or null takes the fallback, or is refused where there is
/// none.
class Fields {
 public:
  /// `prefix` stands before keys in messages: "rope_scaling.".
  explicit Fields(const nlohmann::json& object, std::string prefix = "")
      : object_(object), prefix_(std::move(prefix)) {}

  bool has(const char* key) const { return object_.contains(key) && !object_.at(key).is_null(); }
  std::int64_t positive(const char* key, std::optional<std::int64_t> fallback = {}) const;
  double number(const char* key, std::optional<double> fallback = {}) const;  ///< finite
  bool flag(const char* key, bool fallback) const;
  std::string text(const char* key, std::optional<std::string> fallback = {}) const;
  Fields object(const char* key) const;
  const nlohmann::json& raw(const char* key) const { return object_.at(key); }
  const nlohmann::json& json() const { return object_; }
  std::string name(const char* key) const { return prefix_ + key; }
  [[noreturn]] void refuse(const char* key, const std::string& expected) const;

 private:
  const nlohmann::json& object_;
  std::string prefix_;
};

}  // namespace assay::reference::llama
