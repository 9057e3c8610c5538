// SPDX-License-Identifier: Apache-2.0
// SHA-256 (FIPS 180-4) of short texts: names what was built and measured. Not for secrets.
#pragma once

#include <string>
#include <string_view>

namespace assay::harness {

/// 64 lower-case hexadecimal digits.
std::string sha256(std::string_view bytes);

}  // namespace assay::harness
