// SPDX-License-Identifier: Apache-2.0
// Small pieces of HTML. Text is escaped here; markup is what the names say.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "harness/report/board.hpp"

namespace assay::harness::report {

std::string pill(std::string_view word, std::string_view tone);
std::string_view tone_of(const Row& row);
std::string_view tone_of(RubricLine::Status status);
std::string_view tone_of_outcome(const std::string& outcome);  ///< of a check

std::string cell(const std::string& text, std::string_view classes = "");
/// Parts that "; " joins, a line each.
std::string lines_cell(std::string text);
/// Titles that start with '>' stand over columns of figures.
std::string table_head(const std::vector<std::string>& titles);
inline constexpr const char* kTableEnd = "</tbody></table></div>\n";

/// Something folded: opens by click, Enter or Space. Empty where `content` is.
std::string folded(const std::string& summary, const std::string& content);
/// A command that one click marks as a whole.
std::string command(const std::string& text);
/// "assay run 'PATH'", quotes inside kept from ending it.
std::string replay_command(const std::string& path);

/// Letters, digits and '-': a place on the page. Equal texts give equal places.
std::string anchor_of(std::string_view text);
std::string anchor_of_device(const DeviceInfo& device);
std::string anchor_of_rubric(const RubricBoard& rubric);
std::string anchor_of_check(const DeviceInfo& device, const Check& check);
std::string anchor_of_challenge(const DeviceInfo& device, const std::string& challenge);

}  // namespace assay::harness::report
