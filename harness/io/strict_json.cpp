// SPDX-License-Identifier: Apache-2.0
// See strict_json.hpp. nlohmann keeps the last of two equal keys, so the keys of every open object are
// remembered here.
#include "harness/io/strict_json.hpp"

#include <fmt/format.h>

#include <set>
#include <vector>

#include "harness/core/outcome.hpp"

namespace assay::harness {
namespace {

using nlohmann::json;

/// Watches a parse: depth and, for each object that is open, the keys seen so far.
class ParseGuard {
 public:
  explicit ParseGuard(int max_depth) : max_depth_(max_depth) {}

  bool operator()(int depth, json::parse_event_t event, const json& parsed) {
    switch (event) {
      case json::parse_event_t::object_start:
      case json::parse_event_t::array_start:
        if (depth >= max_depth_) {
          throw UsageError(fmt::format("expected JSON nested at most {} deep, found more", max_depth_));
        }
        keys_.emplace_back();
        break;
      case json::parse_event_t::object_end:
      case json::parse_event_t::array_end:
        keys_.pop_back();
        break;
      case json::parse_event_t::key:
        remember(parsed.get_ref<const std::string&>());
        break;
      case json::parse_event_t::value:
        break;
    }
    return true;
  }

 private:
  void remember(const std::string& key) {
    if (!keys_.back().insert(key).second) {
      throw UsageError("expected every JSON key once, found " + quote(key) + " twice in one object");
    }
  }

  int max_depth_;
  std::vector<std::set<std::string>> keys_;
};

constexpr std::size_t kMaxQuotedBytes = 120;

}  // namespace

std::string quote(std::string_view text) {
  std::string out = "'";
  std::size_t end = std::min(text.size(), kMaxQuotedBytes);
  // not in the middle of a UTF-8 character
  while (end < text.size() && end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) {
    --end;
  }
  for (const char c : text.substr(0, end)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7F) {
      out += fmt::format("\\x{:02x}", byte);
    } else {
      out += c;
    }
  }
  return out + (end < text.size() ? "…'" : "'");
}

std::string_view as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

void require_plain_json_text(std::string_view text) {
  if (text.starts_with("\xEF\xBB\xBF")) {
    throw UsageError("expected JSON text, found a byte-order mark in front of it");
  }
  if (const auto nul = text.find('\0'); nul != std::string_view::npos) {
    throw UsageError(fmt::format("expected JSON text, found a NUL at byte {} of {}", nul, text.size()));
  }
}

json parse_strict_json(std::string_view text, const JsonLimits& limits) {
  if (text.size() > limits.max_bytes) {
    throw UsageError(
        fmt::format("expected at most {} bytes of JSON, found {}", limits.max_bytes, text.size()));
  }
  require_plain_json_text(text);
  ParseGuard guard(limits.max_depth);
  try {
    return json::parse(text.begin(), text.end(), std::ref(guard));
  } catch (const json::exception& error) {
    throw UsageError("expected JSON, found a syntax error: " + quote(error.what()));
  }
}

}  // namespace assay::harness
