// SPDX-License-Identifier: Apache-2.0
#include "harness/report/error_chart.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "harness/report/axis.hpp"
#include "harness/report/format.hpp"

namespace assay::harness::report {
namespace {

constexpr double kWidth = 1000, kLeft = 235, kRight = 800, kPairOfRows = 44, kLegend = 26;
constexpr const char* kNames[kErrorClasses] = {"exact", "1 ulp", "2", "3–4", "5–8", "9–16", "more"};

using Counts = std::array<double, kErrorClasses>;

const std::vector<std::int64_t>* histogram_of(const Row& row) {
  const Passed* passed = row.passed();
  return passed != nullptr && !passed->parity.ulp_histogram.empty() ? &passed->parity.ulp_histogram : nullptr;
}

/// Buckets of a record double in width from the third on, as ours do; ours end earlier.
void add(Counts& counts, const std::vector<std::int64_t>& histogram) {
  for (std::size_t bucket = 0; bucket < histogram.size(); ++bucket) {
    counts[std::min(bucket, kErrorClasses - 1)] += static_cast<double>(histogram[bucket]);
  }
}

ErrorShares shares_of(const Counts& counts) {
  double all = 0;
  for (const double count : counts) {
    all += count;
  }
  ErrorShares shares = {};
  for (std::size_t i = 0; i < kErrorClasses && all > 0; ++i) {
    shares[i] = counts[i] / all;
  }
  return shares;
}

/// Rows of one target of the first baseline that has histograms, by case.
std::map<std::string, const Row*> baseline_rows(const ChallengeBoard& challenge) {
  std::map<std::string, const Row*> rows;
  std::string name;
  for (const Row& row : challenge.rows) {
    const bool counts = row.record.role == Role::kBaseline && histogram_of(row) != nullptr;
    if (counts && (name.empty() || name == row.label())) {
      name = row.label();
      rows.emplace(row.record.case_name, &row);
    }
  }
  return rows;
}

std::string bar(const ErrorShares& shares, double y, const std::string& of) {
  std::string marks;
  double x = kLeft;
  for (std::size_t i = 0; i < kErrorClasses; ++i) {
    const double width = (kRight - kLeft) * shares[i];
    if (width > 0) {
      marks +=
          fmt::format(R"(<rect class="ulp{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="14"><title>{}: )"
                      R"({} {}</title></rect>)",
                      i, x, y - 7, width, escape_html(of), kNames[i], percent_text(shares[i]));
      x += width;
    }
  }
  return marks;
}

std::string legend(double y) {
  std::string marks;
  double x = kLeft;
  for (std::size_t i = 0; i < kErrorClasses; ++i) {
    marks +=
        fmt::format(R"(<rect class="ulp{}" x="{:.0f}" y="{:.0f}" width="11" height="11"/>)", i, x, y - 9) +
        svg_text(x + 16, y, kNames[i], "tick start");
    x += 78;
  }
  return marks;
}

}  // namespace

std::vector<ErrorsBeside> errors_beside_baseline(const ChallengeBoard& challenge) {
  struct Sum {
    Counts ours = {}, baseline = {};
    std::size_t cases = 0;
    std::string against;
  };
  const auto baselines = baseline_rows(challenge);
  std::vector<std::string> order;
  std::map<std::string, Sum> sums;
  for (const Row& row : challenge.rows) {
    const auto baseline = baselines.find(row.record.case_name);
    const bool judged = row.record.role == Role::kCandidate || row.record.role == Role::kPeer;
    if (!judged || histogram_of(row) == nullptr || baseline == baselines.end()) {
      continue;
    }
    const auto [entry, is_new] = sums.try_emplace(row.label());
    if (is_new) {
      order.push_back(row.label());
    }
    Sum& sum = entry->second;
    add(sum.ours, *histogram_of(row));
    add(sum.baseline, *histogram_of(*baseline->second));
    sum.against = baseline->second->label();
    ++sum.cases;
  }
  std::vector<ErrorsBeside> result;
  for (const std::string& name : order) {
    const Sum& sum = sums.at(name);
    result.push_back({name, sum.against, sum.cases, shares_of(sum.ours), shares_of(sum.baseline)});
  }
  return result;
}

std::string error_chart(const ChallengeBoard& challenge) {
  std::string marks;
  double y = 12;
  for (const ErrorsBeside& errors : errors_beside_baseline(challenge)) {
    marks += svg_text(kLeft - 14, y + 4, errors.implementation, "name") +
             bar(errors.shares, y, errors.implementation) +
             svg_text(kRight + 12, y + 4,
                      fmt::format("{} exact, {}", percent_text(errors.shares[0]),
                                  plural(errors.cases, "case", "cases")),
                      "quiet") +
             svg_text(kLeft - 14, y + 21, errors.baseline, "name quiet") +
             bar(errors.baseline_shares, y + 17, errors.baseline) +
             svg_text(kRight + 12, y + 21, percent_text(errors.baseline_shares[0]) + " exact", "quiet");
    y += kPairOfRows;
  }
  return marks.empty()
             ? ""
             : fmt::format(R"(<svg class="chart errors" viewBox="0 0 {:.0f} {:.0f}" role="img" )"
                           R"(aria-label="Distance from the correctly rounded truth, {}">{}{}</svg>)",
                           kWidth, y + kLegend, escape_html(challenge.challenge), marks, legend(y + 10));
}

}  // namespace assay::harness::report
