// SPDX-License-Identifier: Apache-2.0
// What somebody may have meant.
#pragma once

#include <string>
#include <vector>

namespace assay::harness {

/// The `count` names that differ least from `asked` (Levenshtein distance, equal distances in the given
/// order), each once;
/// '*' and '?' in `asked` cost nothing.
std::vector<std::string> nearest_names(const std::string& asked, const std::vector<std::string>& names,
                                       std::size_t count);

}  // namespace assay::harness
