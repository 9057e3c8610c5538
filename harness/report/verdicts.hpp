// SPDX-License-Identifier: Apache-2.0
// A challenge in one line.
#pragma once

#include <map>
#include <string>

#include "harness/report/board.hpp"

namespace assay::harness::report {

struct ChallengeVerdict {
  /// "wrong" when a candidate did not pass, else "better", "worse", "mixed" or "not resolved" over the timed
  /// cases, "verified" when none was timed, "nothing ran" when no candidate did; ", stale" behind it where a
  /// row that speaks is stale.
  std::string word;
  std::string tone;  ///< "good", "bad" or ""
  std::size_t better = 0, worse = 0,
              unresolved = 0;  ///< cases, by the candidate that speaks for each
  std::size_t verified = 0;    ///< candidates' rows that passed
  std::size_t failed = 0;      ///< candidates' rows that neither passed nor were skipped
  std::size_t stale = 0;       ///< candidates' rows
  bool told_by_stale = false;
  double lowest = 0, highest = 0;  ///< of those candidates' medians; 0 when none was timed
};
ChallengeVerdict challenge_verdict(const ChallengeBoard& challenge);
/// The same for a challenge that has checks and no cases: checks count as rows.
ChallengeVerdict checks_verdict(const DeviceBoard& device, const std::string& challenge);

/// "1.33x to 2.10x over 13 cases"; empty when none was timed.
std::string speedup_range(const ChallengeVerdict& verdict);
/// "5 better, 1 worse"; empty when none was timed.
std::string counts_text(const ChallengeVerdict& verdict);
/// "71 passed, 1 did not, 10 stale".
std::string rows_text(const ChallengeVerdict& verdict);
/// Peak memory over the baseline's where that takes any: lowest to highest of the candidates that the verdict
/// names. Empty when none was measured.
std::string memory_range(const ChallengeBoard& challenge);

/// Those candidates over the fastest peer of the case, through the baseline that both were paired with:
/// lowest to highest ratio of medians, and in how many cases the peer is ahead of it (by outer bounds of both
/// intervals). Empty where no peer was timed.
std::string peer_range(const ChallengeBoard& challenge);

/// "–" for an empty text.
std::string or_dash(const std::string& text);

}  // namespace assay::harness::report
