// SPDX-License-Identifier: Apache-2.0
// JSON from files we did not write: duplicate keys, deep nesting and anything the grammar does not allow are
// errors, and names that come from outside are cut and escaped before they reach a message.
#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>

namespace assay::harness {

/// `text` in single quotes for a message: control characters escaped, cut after 120 bytes.
std::string quote(std::string_view text);

std::string_view as_text(std::span<const std::byte> bytes);

struct JsonLimits {
  std::size_t max_bytes = 64 << 20;
  int max_depth = 8;  ///< containers inside each other
};

/// Throws UsageError ("expected …, found …") for text that is no UTF-8 JSON value, for a key given twice in
/// one object and for text beyond `limits`. The message does not know where the text came from: the caller
/// puts that in front.
nlohmann::json parse_strict_json(std::string_view text, const JsonLimits& limits);

/// Throws UsageError for what nlohmann's lexer takes without a word: a byte-order mark in front, a NUL as the
/// end of input.
void require_plain_json_text(std::string_view text);

}  // namespace assay::harness
