// SPDX-License-Identifier: Apache-2.0
// The HTML page says what the Markdown says, in markup that is whole.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <regex>

#include "harness/report/example_board.hpp"
#include "harness/report/report.hpp"

namespace assay::harness {
namespace {

using report::example_file;
using report::example_rubric;
using testing::check_with;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::passed_record;
using testing::record_with;

std::string html(const RecordFile& file, const CurrentSources& current = {}) {
  return scoreboard_html(file, {example_rubric()}, current);
}

/// Every element is closed in order; void elements excepted.
bool tags_balance(const std::string& page) {
  std::vector<std::string> open;
  const std::regex tag(R"(<(/?)([a-zA-Z][a-zA-Z0-9]*)([^<>]*?)(/?)>)");
  for (auto it = std::sregex_iterator(page.begin(), page.end(), tag); it != std::sregex_iterator(); ++it) {
    const std::string name = (*it)[2];
    if (name == "meta" || name == "br" || (*it)[4] == "/") {
      continue;
    }
    if ((*it)[1] != "/") {
      open.push_back(name);
    } else if (open.empty() || open.back() != name) {
      return false;
    } else {
      open.pop_back();
    }
  }
  return open.empty();
}

TEST(Html, is_one_balanced_page_that_loads_nothing) {
  const std::string page = html(example_file());
  EXPECT_TRUE(tags_balance(page));
  EXPECT_THAT(page, Not(HasSubstr("http")));
  EXPECT_THAT(page, Not(HasSubstr("<script")));
  EXPECT_THAT(page, HasSubstr("prefers-color-scheme:dark"));
}

TEST(Html, says_what_the_markdown_says) {
  const std::string page = html(example_file());
  for (const char* text :
       {"4 <small>of 8 points</small>", "because of fourth", "1.50x [1.45, 1.55]", "96.7 % of copy rate",
        "wall 1.20x [1.15, 1.25]", "0 of 4\u202f096 differ", "1980 MHz, no throttling"}) {
    EXPECT_THAT(page, HasSubstr(text));
  }
}

TEST(Html, every_row_has_the_command_that_runs_it_again) {
  const std::string page = html(example_file());
  EXPECT_THAT(page, HasSubstr("assay run &#39;example/copy/64x64/bf16/seed1/fused&#39;"));
  EXPECT_THAT(page, HasSubstr("measured 2026-11-22T10:00:00Z at 0123abcd by"));
}

TEST(Html, text_of_records_cannot_become_markup) {
  RecordFile file{{record_with(Failed{"<script>alert(1)</script>"})}, {}};
  file.records[0].device.name = "<b>GPU</b>";
  file.records[0].implementation = "a'\"<i>";
  const std::string page = html(file);
  EXPECT_TRUE(tags_balance(page));
  EXPECT_THAT(page, Not(HasSubstr("<script")));
  EXPECT_THAT(page, Not(HasSubstr("<b>GPU")));
  EXPECT_THAT(page, Not(HasSubstr("<i>")));
}

TEST(Html, a_suites_picture_stands_under_its_challenge) {
  RecordFile file = example_file();
  file.checks.push_back(check_with("trained", R"({"loss":1})"));
  file.checks.back().challenge = "example/step";  // has no cases
  const auto draw = [](const Check& check) { return "<p>drawn of " + check.check + "</p>"; };
  const std::vector<Picture> pictures = {{"example/step", "trained", "A title", draw},
                                         {"example/copy", "noise", "Another", draw},
                                         {"example/copy", "no such check", "Unseen", draw}};
  const std::string page = scoreboard_html(file, {}, {}, pictures);
  EXPECT_LT(page.find("drawn of noise"), page.find("drawn of trained"));
  EXPECT_THAT(page, HasSubstr("<h4>A title</h4><p>drawn of trained</p>"));
  EXPECT_THAT(page, Not(HasSubstr("Unseen")));
  EXPECT_TRUE(tags_balance(page));
}

TEST(Html, a_line_of_the_rubric_leads_to_its_record) {
  RecordFile file = example_file();
  file.checks.push_back(check_with("first", "{}"));  // "because of first"
  const std::string anchor = "NVIDIA-H100-80GB-HBM3-sm-90-example-copy-checks-first";
  EXPECT_THAT(html(file), HasSubstr("because of first <a href=\"#" + anchor + "\">record</a>"));
  EXPECT_THAT(html(file), HasSubstr("<tr id=\"" + anchor + "\">"));
}

TEST(Html, many_cases_fold_behind_the_first) {
  RecordFile file;
  for (int i = 0; i < 12; ++i) {
    file.records.push_back(passed_record("fused", std::to_string(i) + "x64/bf16"));
  }
  EXPECT_THAT(html(file), HasSubstr("<summary>8 cases more</summary>"));
}

}  // namespace
}  // namespace assay::harness
