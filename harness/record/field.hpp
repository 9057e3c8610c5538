// SPDX-License-Identifier: Apache-2.0
// A JSON value together with where it stands (file, line, path), so that every complaint says where, what was
// expected and what was found. Private to the record room.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace assay::harness::record_detail {

using Json = nlohmann::ordered_json;

struct Place {
  std::string file;
  std::size_t line = 0;
};

/// Throws UsageError "file:line: path: expected …, found …".
[[noreturn]] void reject(const Place& place, const std::string& path, const std::string& expected,
                         const std::string& found);

/// Borrowed: the JSON value and the place outlive the field.
class Field {
 public:
  Field(const Json& value, const Place& place, std::string path = {});

  Field at(std::string_view name) const;                         ///< member that must be there
  std::optional<Field> find(std::string_view name) const;        ///< nullopt when absent
  std::optional<Field> find_value(std::string_view name) const;  ///< nullopt when absent or null
  std::vector<Field> items() const;
  const Json& json() const { return *value_; }
  Field object() const;  ///< itself, once it is known to be an object

  std::string text() const;
  std::string nonempty_text() const;
  /// One of `known`; returns its position.
  std::size_t choice(std::initializer_list<std::string_view> known) const;
  std::int64_t integer(std::int64_t least = std::numeric_limits<std::int64_t>::min()) const;
  std::uint64_t unsigned_integer() const;
  double number() const;    ///< finite
  double positive() const;  ///< finite and > 0: 0 is never a measurement
  /// Member that is a number, or null with `<name>_reason` "nan", "inf" or "-inf" beside it.
  double number_or_reason(std::string_view name) const;

  [[noreturn]] void reject(const std::string& expected) const;

 private:
  const Json* value_;
  const Place* place_;
  std::string path_;
};

/// One line as a JSON object. Rejects what a lenient reader would let pass: duplicate keys, numbers beyond a
/// double, invalid UTF-8, nesting deeper than 32, objects of more than 10 000 members.
Json parse_line(std::string_view line, const Place& place);

}  // namespace assay::harness::record_detail
