// SPDX-License-Identifier: Apache-2.0
// nf4/dequantize for code from outside: the C struct of suites/assay_candidate.h, and the case in words.
#pragma once

#include <memory>

#include "harness/core/outside.hpp"

namespace assay::suites::nf4 {

std::shared_ptr<const harness::OutsideInterface> dequantize_outside();

}  // namespace assay::suites::nf4
