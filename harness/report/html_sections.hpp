// SPDX-License-Identifier: Apache-2.0
// The page's sections, each a function of the board.
#pragma once

#include <string>

#include "harness/report/board.hpp"

namespace assay::harness::report {

std::string environment_card(const DeviceBoard& device);
std::string device_section(const DeviceBoard& device);
std::string challenge_section(const DeviceBoard& device, const ChallengeBoard& challenge);

}  // namespace assay::harness::report
