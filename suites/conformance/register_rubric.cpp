// SPDX-License-Identifier: Apache-2.0
// Hands part D's rubric to the report.
#include "harness/report/rubrics.hpp"
#include "suites/conformance/rubric.hpp"

namespace assay::suites::conformance {
namespace {

const harness::RegisterRubric kThis(rubric);

}  // namespace
}  // namespace assay::suites::conformance
