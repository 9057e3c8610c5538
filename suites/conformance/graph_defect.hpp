// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "suites/conformance/defect.hpp"

namespace assay::suites::conformance {

Defect graph_defect();

}  // namespace assay::suites::conformance
