// SPDX-License-Identifier: Apache-2.0
// How far results are from the correctly rounded truth, beside the baseline's on the same cases.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "harness/report/board.hpp"

namespace assay::harness::report {

/// Exact, 1, 2, 3–4, 5–8, 9–16 and more units in the last place.
inline constexpr std::size_t kErrorClasses = 7;
using ErrorShares = std::array<double, kErrorClasses>;

/// All elements of the cases that an implementation shares with the baseline; shares sum to 1.
struct ErrorsBeside {
  std::string implementation, baseline;
  std::size_t cases = 0;
  ErrorShares shares = {}, baseline_shares = {};
};

/// Candidates and peers with a histogram, beside the challenge's first baseline that has one.
std::vector<ErrorsBeside> errors_beside_baseline(const ChallengeBoard& challenge);

/// Two bars of full length each: the implementation's and the baseline's. Empty where nothing can be
/// compared.
std::string error_chart(const ChallengeBoard& challenge);

}  // namespace assay::harness::report
