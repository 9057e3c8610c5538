// SPDX-License-Identifier: Apache-2.0
// Part B of the public challenge as data.
#pragma once

#include "harness/report/report.hpp"

namespace assay::suites::fsdp {

/// The check that would show the 2×T4 example; without it the whole part is worth nothing.
inline constexpr const char* kT4Example = "t4_example";
/// The check that would compare part A's kernel inside the engine with the unfused one, and with PyTorch.
inline constexpr const char* kKernelSpeedup = "kernel_speedup";

harness::Rubric rubric();

}  // namespace assay::suites::fsdp
