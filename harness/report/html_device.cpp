// SPDX-License-Identifier: Apache-2.0
// A device on the page: its facts, what did not pass, its challenges, its checks.
#include <fmt/format.h>

#include <algorithm>

#include "harness/report/format.hpp"
#include "harness/report/html_parts.hpp"
#include "harness/report/html_sections.hpp"

namespace assay::harness::report {
namespace {

std::string failure_section(const DeviceBoard& device) {
  std::string items;
  for (const Row* row : failures(device)) {
    items += fmt::format("<li>{} <code>{}</code>: {}<br><code>assay run '{}'</code></li>",
                         pill(cells_of(*row).verdict, "bad"), escape_html(row->path()),
                         escape_html(outcome_reason(row->record.outcome)), escape_html(row->path()));
  }
  for (const Check& check : device.checks) {
    if (check.outcome == "wrong" || check.outcome == "failed") {
      items += fmt::format(
          "<li>{} check <code>{}</code> of {}: {}</li>", pill(check.outcome, "bad"), escape_html(check.check),
          escape_html(check.challenge.empty() ? check.suite : check.challenge), escape_html(check.reason));
    }
  }
  return items.empty()
             ? ""
             : fmt::format(R"(<h3>What did not pass</h3><div class="card failures"><ul>{}</ul></div>)",
                           items);
}

/// Checks of the harness itself belong to every run.
std::string replay_check(const Check& check) {
  return check.suite == "harness"
             ? ""
             : folded("command", command(replay_command(check.challenge + "/checks/" + check.check)));
}

std::string check_section(const DeviceBoard& device) {
  if (device.checks.empty()) {
    return "";
  }
  std::string text = "<h3>Checks</h3>" + table_head({"Check", "Of", "Outcome", "Evidence", "Again"});
  for (const Check& check : device.checks) {
    text += fmt::format("<tr id=\"{}\">", anchor_of_check(device.device, check)) + cell(check.check, "name") +
            cell(check.challenge.empty() ? check.suite : check.challenge) + "<td>" +
            pill(check.outcome, tone_of_outcome(check.outcome)) + "</td>" + cell(evidence_text(check)) +
            "<td>" + replay_check(check) + "</td></tr>\n";
  }
  return text + kTableEnd;
}

std::string skipped_section(const DeviceBoard& device) {
  std::string items;
  for (const SkippedGroup& group : skipped(device)) {
    items += fmt::format("<li><code>{}</code> {} in {}: {}</li>", escape_html(group.implementation),
                         escape_html(group.challenge), plural(group.cases, "case", "cases"),
                         escape_html(group.reason));
  }
  return items.empty() ? "" : fmt::format("<h3>Skipped</h3><ul class=\"note\">{}</ul>\n", items);
}

/// The value, with its details folded behind it.
std::string fact_value(const Fact& fact) {
  if (fact.details.empty()) {
    return escape_html(fact.value);
  }
  std::string items;
  for (const std::string& detail : fact.details) {
    items += fmt::format("<li>{}</li>", escape_html(detail));
  }
  return folded(fact.value, "<ul>" + items + "</ul>");
}

}  // namespace

std::string environment_card(const DeviceBoard& device) {
  std::string facts;
  for (const Fact& fact : device.environment) {
    facts += fmt::format("<dt>{}</dt><dd>{}</dd>", escape_html(fact.label), fact_value(fact));
  }
  return fmt::format(R"(<div class="card"><strong>{}</strong><dl>{}</dl></div>)",
                     escape_html(device.device.name), facts);
}

std::string device_section(const DeviceBoard& device, const std::vector<Picture>& pictures) {
  std::string text =
      fmt::format("<h2 id=\"{}\">{} <span class=\"quiet\">{}</span></h2>", anchor_of_device(device.device),
                  escape_html(device.device.name), escape_html(device.device.arch));
  text += failure_section(device);
  for (const ChallengeBoard& challenge : device.challenges) {
    text += challenge_section(device, challenge, pictures);
  }
  for (const std::string& challenge : without_cases(device)) {
    const std::string drawn = picture_section(device, challenge, pictures);
    if (!drawn.empty()) {
      text += fmt::format("<h3 id=\"{}\">{}</h3>", anchor_of_challenge(device.device, challenge),
                          escape_html(challenge)) +
              drawn;
    }
  }
  return text + target_section(device) + check_section(device) + skipped_section(device);
}

}  // namespace assay::harness::report
