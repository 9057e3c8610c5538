// SPDX-License-Identifier: Apache-2.0
// Hands part A's rubric to the report.
#include "harness/report/rubrics.hpp"
#include "suites/nf4/rubric.hpp"

namespace assay::suites::nf4 {
namespace {

const harness::RegisterRubric kThis(rubric);

}  // namespace
}  // namespace assay::suites::nf4
