// SPDX-License-Identifier: Apache-2.0
// The page's sections, each a function of the board. Empty where there is nothing to show.
#pragma once

#include <string>
#include <vector>

#include "harness/report/board.hpp"
#include "harness/report/pictures.hpp"

namespace assay::harness::report {

/// Links to the page's headings.
std::string contents(const Board& board);
std::string verdict_section(const Board& board);
std::string environment_card(const DeviceBoard& device);
std::string rubric_section(const Board& board, const RubricBoard& rubric);
std::string device_section(const DeviceBoard& device, const std::vector<Picture>& pictures);
std::string target_section(const DeviceBoard& device);

std::string challenge_section(const DeviceBoard& device, const ChallengeBoard& challenge,
                              const std::vector<Picture>& pictures);
std::string heat_section(const ChallengeBoard& challenge);
std::string ceiling_section(const DeviceBoard& device, const ChallengeBoard& challenge);
std::string error_section(const ChallengeBoard& challenge);
std::string memory_section(const ChallengeBoard& challenge);
std::string history_section(const DeviceBoard& device, const ChallengeBoard& challenge);
/// What suites draw of the checks of one challenge.
std::string picture_section(const DeviceBoard& device, const std::string& challenge,
                            const std::vector<Picture>& pictures);

}  // namespace assay::harness::report
