// SPDX-License-Identifier: Apache-2.0
#include "harness/run/nearest.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

namespace assay::harness {
namespace {

/// Insertions, deletions and exchanges from `a` to `b`, row by row (Wagner and Fischer 1974); a '*' of `a`
/// stands for anything.
std::size_t distance(const std::string& a, const std::string& b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (const char letter : a) {
    std::size_t diagonal = row[0];
    if (letter != '*')
      ++row[0];
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const bool same = letter == b[j - 1] || letter == '?' || letter == '*';
      const std::size_t insertion = letter == '*' ? row[j - 1] : row[j - 1] + 1;
      const std::size_t deletion = letter == '*' ? row[j] : row[j] + 1;
      const std::size_t best = std::min({diagonal + (same ? 0 : 1), insertion, deletion});
      diagonal = std::exchange(row[j], best);
    }
  }
  return row.back();
}

}  // namespace

std::vector<std::string> nearest_names(const std::string& asked, const std::vector<std::string>& names,
                                       std::size_t count) {
  std::vector<std::pair<std::size_t, std::string>> ranked;
  for (const std::string& name : names) ranked.emplace_back(distance(asked, name), name);
  std::stable_sort(ranked.begin(), ranked.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<std::string> out;
  for (auto& [ignored, name] : ranked) {
    if (out.size() < count && std::find(out.begin(), out.end(), name) == out.end())
      out.push_back(std::move(name));
  }
  return out;
}

}  // namespace assay::harness
