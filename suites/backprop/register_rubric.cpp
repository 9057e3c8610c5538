// SPDX-License-Identifier: Apache-2.0
// Hands part E's rubric to the report.
#include "harness/report/rubrics.hpp"
#include "suites/backprop/rubric.hpp"

namespace assay::suites::backprop {
namespace {

const harness::RegisterRubric kThis(rubric);

}  // namespace
}  // namespace assay::suites::backprop
