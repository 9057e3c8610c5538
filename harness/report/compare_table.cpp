// SPDX-License-Identifier: Apache-2.0
// Compared rows as an aligned table for a terminal, the ones that matter first.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <stdexcept>

#include "harness/report/report.hpp"

namespace assay::harness {
namespace {

std::string word_of(RowVerdict verdict) {
  switch (verdict) {
    case RowVerdict::kBetter:
      return "better";
    case RowVerdict::kWorse:
      return "worse";
    case RowVerdict::kSame:
      return "same";
    case RowVerdict::kNotResolved:
      return "not resolved";
    case RowVerdict::kMissing:
      return "missing";
    case RowVerdict::kNew:
      return "new";
  }
  throw std::invalid_argument("expected a known verdict, found " + std::to_string(static_cast<int>(verdict)));
}

int urgency(RowVerdict verdict) {
  constexpr RowVerdict kOrder[] = {RowVerdict::kMissing, RowVerdict::kWorse, RowVerdict::kNotResolved,
                                   RowVerdict::kBetter,  RowVerdict::kNew,   RowVerdict::kSame};
  return static_cast<int>(std::find(std::begin(kOrder), std::end(kOrder), verdict) - std::begin(kOrder));
}

/// Columns of a terminal that UTF-8 text takes: one a code point (nothing here is wider).
std::size_t width_of(const std::string& text) {
  return static_cast<std::size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

constexpr std::size_t kColumns = 6;
using Line = std::array<std::string, kColumns>;

Line line_of(const ComparedRow& row) {
  std::string subject = row.challenge;
  for (const std::string& part : {row.case_name, row.implementation}) {
    subject += part.empty() ? "" : (subject.empty() ? "" : "/") + part;
  }
  const auto or_dash = [](const std::string& text) { return text.empty() ? std::string("–") : text; };
  return {word_of(row.verdict), row.what, subject, or_dash(row.old_value), or_dash(row.new_value), row.note};
}

std::string formatted(const std::vector<Line>& lines) {
  std::array<std::size_t, kColumns> widths{};
  for (const Line& line : lines) {
    for (std::size_t i = 0; i < kColumns; ++i) {
      widths[i] = std::max(widths[i], width_of(line[i]));
    }
  }
  std::string text;
  for (const Line& line : lines) {
    std::string printed;
    for (std::size_t i = 0; i < kColumns; ++i) {
      printed += line[i] + std::string(widths[i] - width_of(line[i]) + 2, ' ');
    }
    printed.erase(printed.find_last_not_of(' ') + 1);
    text += printed + "\n";
  }
  return text;
}

std::string summary(const std::vector<ComparedRow>& rows) {
  std::map<int, std::pair<std::string, std::size_t>> counts;
  for (const ComparedRow& row : rows) {
    auto& [word, count] = counts[urgency(row.verdict)];
    word = word_of(row.verdict);
    ++count;
  }
  std::string text;
  for (const auto& [order, entry] : counts) {
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", entry.second, entry.first);
  }
  return text.empty() ? "nothing to compare" : text;
}

}  // namespace

std::string compare_table(const std::vector<ComparedRow>& rows) {
  std::vector<ComparedRow> sorted = rows;
  std::stable_sort(sorted.begin(), sorted.end(), [](const ComparedRow& a, const ComparedRow& b) {
    return urgency(a.verdict) < urgency(b.verdict);
  });
  std::vector<Line> lines = {{"VERDICT", "WHAT", "SUBJECT", "OLD", "NEW", "NOTE"}};
  std::transform(sorted.begin(), sorted.end(), std::back_inserter(lines), line_of);
  return (rows.empty() ? "" : formatted(lines)) + summary(rows) + "\n";
}

}  // namespace assay::harness
