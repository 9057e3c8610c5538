// SPDX-License-Identifier: Apache-2.0
// Static SVG for the HTML page. Colours come from the page's style sheet by class, so light and dark both
// work.
#pragma once

#include <string>
#include <vector>

#include "harness/report/board.hpp"

namespace assay::harness::report {

/// Range of a logarithmic axis of ratios; always holds 1.
struct RatioScale {
  double low = 0.9, high = 1.1;
  /// Distance from the left end in [0, 1].
  double position(double ratio) const;
};
/// Holds every interval of the case's headline timings.
RatioScale ratio_scale(const ChallengeBoard& challenge, const std::string& case_name);
/// Three to eight round ratios inside the scale, ascending, 1 among them.
std::vector<double> ratio_ticks(const RatioScale& scale);

/// One case: for each timed implementation the paired ratio (median, interval, single pairs) and the share of
/// the ceiling. Empty when nothing was timed.
std::string case_chart(const ChallengeBoard& challenge, const std::string& case_name);

/// A rubric's points as one bar, a segment a line, as wide as the line's points.
std::string points_bar(const RubricBoard& rubric);

}  // namespace assay::harness::report
