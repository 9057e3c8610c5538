// SPDX-License-Identifier: Apache-2.0
// Part C of the public challenge as data.
#pragma once

#include "harness/report/report.hpp"

namespace assay::suites::compile {

harness::Rubric rubric();

}  // namespace assay::suites::compile
