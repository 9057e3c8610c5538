// SPDX-License-Identifier: Apache-2.0
// Text from parts. fmt stays out of this room: the torch wheel's include folder carries another one.
#pragma once

#include <sstream>
#include <string>

namespace assay::suites::backprop {

template <class... Parts>
std::string text(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}

}  // namespace assay::suites::backprop
