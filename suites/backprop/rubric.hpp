// SPDX-License-Identifier: Apache-2.0
// Part E of the public challenge as data: what each of its points takes as evidence.
#pragma once

#include "harness/report/report.hpp"

namespace assay::suites::backprop {

inline constexpr const char* kRubricChallenge = "backprop/cross_entropy";
inline constexpr const char* kOurs = "memory_efficient";
inline constexpr const char* kMemoryCase = "n16384/h4096/v128256/bf16/dw";
inline constexpr const char* kGrpoCase = "n8192/h4096/v128256/bf16/dw/b8/reference";

harness::Rubric rubric();

}  // namespace assay::suites::backprop
