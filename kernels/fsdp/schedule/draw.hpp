// SPDX-License-Identifier: Apache-2.0
// A timeline for people: as a trace that chrome://tracing and Perfetto open, and as a picture.
#pragma once

#include <string>

#include "kernels/fsdp/schedule/simulate.hpp"

namespace assay::kernels::fsdp {

/// Trace Event Format, complete events ("ph":"X"), one thread a rank; `unit_us` microseconds a unit of the
/// timeline's time. Transfers in which a rank waits are events too.
std::string chrome_trace(const Timeline& timeline, const std::string& name, double unit_us = 1000.0);

/// One row a rank, one box a compute action with its microbatch in it, the bubble's share in the title; F, R,
/// I or B, and W by colour and, for those who see none, by letter in the box's tooltip. Width in pixels of
/// the whole time.
std::string svg(const Timeline& timeline, const std::string& name, int width = 1200);

}  // namespace assay::kernels::fsdp
