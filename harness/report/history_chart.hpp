// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "harness/report/history.hpp"

namespace assay::harness::report {

/// Intervals in order of time, evenly spaced, on a logarithmic axis of their own; a line at every change.
std::string history_chart(const History& history);

/// "1.33x → 1.60x on 2026-11-25 (704e2e1aa)" for each change, from level to level (geometric means); empty
/// where there is none.
std::string changes_text(const History& history);

}  // namespace assay::harness::report
