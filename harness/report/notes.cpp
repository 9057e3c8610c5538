// SPDX-License-Identifier: Apache-2.0
// A note is words and figures; of equal words the figures become ranges.
#include "harness/report/notes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <map>
#include <set>

namespace assay::harness::report {
namespace {

/// words[0] figures[0] words[1] figures[1] … words.back()
struct Note {
  std::vector<std::string> words = {""};
  std::vector<double> figures;
};

bool is_digit(char c) {
  return std::isdigit(static_cast<unsigned char>(c)) != 0;
}

/// A figure starts where no letter stands before it: "sm_90" and "bf16" are words.
bool starts_figure(const std::string& text, std::size_t at) {
  const bool inside_word =
      at > 0 && (std::isalnum(static_cast<unsigned char>(text[at - 1])) != 0 || text[at - 1] == '_');
  return is_digit(text[at]) && !inside_word;
}

Note split(const std::string& text) {
  Note note;
  for (std::size_t at = 0; at < text.size();) {
    if (!starts_figure(text, at)) {
      note.words.back() += text[at++];
      continue;
    }
    char* end = nullptr;
    note.figures.push_back(std::strtod(text.c_str() + at, &end));
    at = static_cast<std::size_t>(end - text.c_str());
    note.words.emplace_back();
  }
  return note;
}

struct Range {
  double low = 0, high = 0;
};

struct Kind {
  std::vector<std::string> words;
  std::vector<Range> ranges;
  std::set<std::size_t> timings;

  void widen(const std::vector<double>& figures) {
    for (std::size_t i = 0; i < figures.size(); ++i) {
      ranges[i] = {std::min(ranges[i].low, figures[i]), std::max(ranges[i].high, figures[i])};
    }
  }

  std::string text() const {
    std::string result = words.front();
    for (std::size_t i = 0; i < ranges.size(); ++i) {
      result += ranges[i].low == ranges[i].high ? fmt::format("{:g}", ranges[i].low)
                                                : fmt::format("{:g}–{:g}", ranges[i].low, ranges[i].high);
      result += words[i + 1];
    }
    return result;
  }
};

}  // namespace

std::vector<NoteKind> kinds_of_notes(const std::vector<std::vector<std::string>>& notes) {
  std::map<std::vector<std::string>, std::size_t> position;
  std::vector<Kind> kinds;
  for (std::size_t timing = 0; timing < notes.size(); ++timing) {
    for (const std::string& text : notes[timing]) {
      const Note note = split(text);
      const auto [entry, is_new] = position.try_emplace(note.words, kinds.size());
      if (is_new) {
        kinds.push_back({.words = note.words, .ranges = {}, .timings = {}});
        for (const double figure : note.figures) {
          kinds.back().ranges.push_back({figure, figure});
        }
      }
      kinds[entry->second].widen(note.figures);
      kinds[entry->second].timings.insert(timing);
    }
  }
  std::vector<NoteKind> result;
  for (const Kind& kind : kinds) {
    result.push_back({kind.text(), kind.timings.size()});
  }
  std::stable_sort(result.begin(), result.end(),
                   [](const NoteKind& a, const NoteKind& b) { return a.timings > b.timings; });
  return result;
}

}  // namespace assay::harness::report
