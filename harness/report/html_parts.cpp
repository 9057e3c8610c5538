// SPDX-License-Identifier: Apache-2.0
#include "harness/report/html_parts.hpp"

#include <fmt/format.h>

#include <cctype>

#include "harness/report/format.hpp"

namespace assay::harness::report {

std::string pill(std::string_view word, std::string_view tone) {
  return fmt::format(R"(<span class="pill {}">{}</span>)", tone, escape_html(word));
}

std::string_view tone_of(const Row& row) {
  if (row.passed() == nullptr) {
    return std::holds_alternative<Skipped>(row.record.outcome) ? "" : "bad";
  }
  if (row.stale || row.headline() == nullptr || !row.headline()->speedup) {
    return "";
  }
  const Verdict verdict = row.headline()->verdict;
  return verdict == Verdict::kBetter ? "good" : verdict == Verdict::kWorse ? "bad" : "";
}

std::string_view tone_of(RubricLine::Status status) {
  return status == RubricLine::Status::kEarned ? "good" : status == RubricLine::Status::kLost ? "bad" : "";
}

std::string_view tone_of_outcome(const std::string& outcome) {
  return outcome == "passed" ? "good" : outcome == "skipped" ? "" : "bad";
}

std::string cell(const std::string& text, std::string_view classes) {
  return fmt::format(R"(<td class="{}">{}</td>)", classes, escape_html(text));
}

std::string lines_cell(std::string text) {
  for (std::size_t at = text.find("; "); at != std::string::npos; at = text.find("; ", at + 1)) {
    text.replace(at, 2, "\n");
  }
  return cell(text, "lines");
}

std::string table_head(const std::vector<std::string>& titles) {
  std::string cells;
  for (const std::string& title : titles) {
    const bool figure = title.starts_with('>');
    cells += fmt::format(R"(<th scope="col" class="{}">{}</th>)", figure ? "figure" : "",
                         escape_html(figure ? title.substr(1) : title));
  }
  return fmt::format(R"(<div class="scroll"><table><thead><tr>{}</tr></thead><tbody>)", cells);
}

std::string folded(const std::string& summary, const std::string& content) {
  return content.empty()
             ? ""
             : fmt::format("<details><summary>{}</summary>{}</details>\n", escape_html(summary), content);
}

std::string command(const std::string& text) {
  return fmt::format("<code class=\"command\">{}</code>", escape_html(text));
}

std::string replay_command(const std::string& path) {
  std::string quoted;
  for (const char c : path) {
    quoted += c == '\'' ? std::string(R"('\'')") : std::string(1, c);
  }
  return "assay run '" + quoted + "'";
}

std::string anchor_of(std::string_view text) {
  std::string anchor;
  for (const char c : text) {
    anchor += std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '-';
  }
  return anchor;
}

std::string anchor_of_device(const DeviceInfo& device) {
  return anchor_of(device.name + "/" + device.arch);
}

std::string anchor_of_rubric(const RubricBoard& rubric) {
  return anchor_of("rubric/" + rubric.suite + "/" + rubric.device);
}

std::string anchor_of_check(const DeviceInfo& device, const Check& check) {
  return anchor_of_device(device) + anchor_of("/" + check.challenge + "/checks/" + check.check);
}

std::string anchor_of_challenge(const DeviceInfo& device, const std::string& challenge) {
  return anchor_of_device(device) + anchor_of("/" + challenge);
}

}  // namespace assay::harness::report
