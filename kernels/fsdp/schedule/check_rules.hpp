// SPDX-License-Identifier: Apache-2.0
// One function a check of check.hpp: messages of what is wrong. Each may assume that the ones before it found
// nothing.
#pragma once

#include "kernels/fsdp/schedule/check.hpp"

namespace assay::kernels::fsdp {

std::vector<std::string> placement_errors(const Schedule& schedule, const ScheduleLimits& limits);
std::vector<std::string> completeness_errors(const Schedule& schedule, const ScheduleLimits& limits);
std::vector<std::string> order_errors(const Schedule& schedule, const ScheduleLimits& limits);
std::vector<std::string> transfer_errors(const Schedule& schedule, const ScheduleLimits& limits);
std::vector<std::string> deadlock_errors(const Schedule& schedule, const ScheduleLimits& limits);
std::vector<std::string> memory_errors(const Schedule& schedule, const ScheduleLimits& limits);

}  // namespace assay::kernels::fsdp
