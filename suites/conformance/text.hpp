// SPDX-License-Identifier: Apache-2.0
// Text from parts. fmt stays out of this room: the torch wheel's include folder carries another one.
#pragma once

#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace assay::suites::conformance {

template <class... Parts>
std::string text(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}

/// "1 2 3"
template <class Value>
std::string joined(const std::vector<Value>& values) {
  std::ostringstream out;
  for (const char* before = ""; const Value& value : values) out << std::exchange(before, " ") << value;
  return out.str();
}

}  // namespace assay::suites::conformance
