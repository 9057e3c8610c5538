// SPDX-License-Identifier: Apache-2.0
// Figures as people read them. Intervals are rounded outwards, so a printed bound never claims more than was
// measured.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "harness/core/outcome.hpp"

namespace assay::harness::report {

std::string significant(double value);                ///< three digits: "2832", "52.2", "1.44"
std::string time_text(double nanoseconds);            ///< "812 ns", "52.2 µs", "3.41 ms", "1.20 s"
std::string bytes_text(std::int64_t bytes);           ///< "0 B", "28.1 MiB"
std::string ratio_text(double ratio);                 ///< "1.44x"
std::string interval_text(const Interval& interval);  ///< "1.44x [1.43, 1.45]", "1.011x [1.009, 1.013]"
std::string percent_text(double fraction);            ///< "94.3 %"
std::string count_text(std::int64_t count);           ///< "58 720 256"
std::string plural(std::size_t count, std::string_view one,
                   std::string_view many);  ///< "1 record", "3 records"

/// Nine digits of a commit, "-dirty" kept.
std::string short_commit(const std::string& commit);

/// Text inside HTML elements and attributes.
std::string escape_html(std::string_view text);
/// Text inside a Markdown table cell: pipes, line ends and HTML cannot break out of it.
std::string escape_markdown(std::string_view text);

}  // namespace assay::harness::report
