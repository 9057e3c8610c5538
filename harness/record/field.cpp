// SPDX-License-Identifier: Apache-2.0
// Checked access to JSON values, and the strict reading of one line.
#include "harness/record/field.hpp"

#include <cmath>
#include <set>

#include "harness/core/outcome.hpp"

namespace assay::harness::record_detail {
namespace {

constexpr std::size_t kMaxDepth = 32;
constexpr std::size_t kMaxMembers =
    10000;  // ordered_json looks keys up linearly: bounds the time a hostile line takes

std::string shortened(std::string text) {
  constexpr std::size_t kShown = 60;
  if (text.size() <= kShown) {
    return text;
  }
  std::size_t end = kShown;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) {
    --end;
  }
  return text.substr(0, end) + "…";
}

struct LineError {
  std::string expected, found;
};

/// Follows nlohmann's parser events; throws LineError for what its own grammar accepts and a record does not.
class StructureGuard {
 public:
  void on(Json::parse_event_t event, const Json& parsed) {
    using Event = Json::parse_event_t;
    if (event == Event::object_start || event == Event::array_start) {
      keys_.emplace_back();
      if (keys_.size() > kMaxDepth) {
        throw LineError{"at most " + std::to_string(kMaxDepth) + " levels of nesting", "more"};
      }
    } else if (event == Event::object_end || event == Event::array_end) {
      keys_.pop_back();
    } else if (event == Event::key) {
      add_key(parsed.get_ref<const std::string&>());
    }
  }

 private:
  void add_key(const std::string& key) {
    if (!keys_.back().insert(key).second) {
      throw LineError{"each field once", "\"" + shortened(key) + "\" twice"};
    }
    if (keys_.back().size() > kMaxMembers) {
      throw LineError{"at most " + std::to_string(kMaxMembers) + " fields in one object", "more"};
    }
  }

  std::vector<std::set<std::string>> keys_;
};

}  // namespace

void reject(const Place& place, const std::string& path, const std::string& expected,
            const std::string& found) {
  std::string where = place.file + ":" + std::to_string(place.line) + ": ";
  if (!path.empty()) {
    where += path + ": ";
  }
  throw UsageError(where + "expected " + expected + ", found " + found +
                   " (fields: docs/records.md; a damaged file must be written again by `assay run`)");
}

Field::Field(const Json& value, const Place& place, std::string path)
    : value_(&value), place_(&place), path_(std::move(path)) {}

void Field::reject(const std::string& expected) const {
  record_detail::reject(*place_, path_, expected, shortened(value_->dump()));
}

Field Field::object() const {
  if (!value_->is_object()) {
    reject("an object");
  }
  return *this;
}

std::optional<Field> Field::find(std::string_view name) const {
  object();
  const auto member = value_->find(name);
  if (member == value_->end()) {
    return std::nullopt;
  }
  return Field(*member, *place_, (path_.empty() ? "" : path_ + ".") + std::string(name));
}

std::optional<Field> Field::find_value(std::string_view name) const {
  auto member = find(name);
  return member && !member->json().is_null() ? member : std::nullopt;
}

Field Field::at(std::string_view name) const {
  if (auto member = find(name)) {
    return *member;
  }
  record_detail::reject(*place_, path_, "a field \"" + std::string(name) + "\"", "none");
}

std::vector<Field> Field::items() const {
  if (!value_->is_array()) {
    reject("an array");
  }
  std::vector<Field> result;
  for (std::size_t i = 0; i < value_->size(); ++i) {
    result.emplace_back((*value_)[i], *place_, path_ + "[" + std::to_string(i) + "]");
  }
  return result;
}

std::string Field::text() const {
  if (!value_->is_string()) {
    reject("text");
  }
  return value_->get<std::string>();
}

std::string Field::nonempty_text() const {
  std::string result = text();
  if (result.empty()) {
    reject("text that is not empty");
  }
  return result;
}

std::size_t Field::choice(std::initializer_list<std::string_view> known) const {
  std::string list;
  std::size_t position = 0;
  for (const auto word : known) {
    if (value_->is_string() && value_->get_ref<const std::string&>() == word) {
      return position;
    }
    list += (position++ == 0 ? "\"" : ", \"") + std::string(word) + "\"";
  }
  reject("one of " + list);
}

std::int64_t Field::integer(std::int64_t least) const {
  constexpr auto kMost = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  const bool fits =
      value_->is_number_unsigned() ? value_->get<std::uint64_t>() <= kMost : value_->is_number_integer();
  if (!fits) {
    reject("a whole number of 64 bits");
  }
  const auto result = value_->get<std::int64_t>();
  if (result < least) {
    reject("a whole number of at least " + std::to_string(least));
  }
  return result;
}

std::uint64_t Field::unsigned_integer() const {
  if (!value_->is_number_unsigned()) {
    reject("a whole number that is not negative");
  }
  return value_->get<std::uint64_t>();
}

double Field::number() const {
  if (!value_->is_number() || !std::isfinite(value_->get<double>())) {
    reject("a finite number");
  }
  return value_->get<double>();
}

double Field::positive() const {
  const double result = number();
  if (!(result > 0)) {
    reject("a number above 0");
  }
  return result;
}

double Field::number_or_reason(std::string_view name) const {
  const Field member = at(name);
  if (!member.json().is_null()) {
    return member.number();
  }
  constexpr double kValues[] = {std::numeric_limits<double>::quiet_NaN(),
                                std::numeric_limits<double>::infinity(),
                                -std::numeric_limits<double>::infinity()};
  return kValues[at(std::string(name) + "_reason").choice({"nan", "inf", "-inf"})];
}

Json parse_line(std::string_view line, const Place& place) {
  StructureGuard guard;
  try {
    Json parsed = Json::parse(line, [&](int, Json::parse_event_t event, Json& value) {
      guard.on(event, value);
      return true;
    });
    if (!parsed.is_object()) {
      reject(place, "", "a JSON object", shortened(parsed.dump()));
    }
    return parsed;
  } catch (const LineError& error) {
    reject(place, "", error.expected, error.found);
  } catch (const Json::exception& error) {
    const bool empty = line.find_first_not_of(" \t\r") == std::string_view::npos;
    reject(place, "", "one complete JSON object",
           empty ? "an empty line" : std::string("bad JSON: ") + error.what());
  }
}

}  // namespace assay::harness::record_detail
