// SPDX-License-Identifier: Apache-2.0
// How a rubric line reads checks. Private to the rubric of part A.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "harness/report/report.hpp"

namespace assay::suites::nf4 {

inline constexpr const char* kRubricChallenge = "nf4/dequantize";
inline constexpr const char* kOurs = "cuda_fused";

using Decision = harness::RubricLine::Decision;
using Status = harness::RubricLine::Status;

Decision open(std::string why);
Decision stale(const std::string& what);

/// Newest check of that name, nullptr without one; one from a GPU goes before one from a CPU.
const harness::Check* find_check(const harness::RecordFile& file, const std::string& name);
/// What keeps a check from being evidence at all; nullopt when it passed and may be used.
std::optional<Decision> unusable(const harness::RecordFile& file, const harness::CurrentSources& current,
                                 const std::string& name, bool needs_gpu, int lost_points);
/// Of a check that is there.
nlohmann::json evidence_of(const harness::RecordFile& file, const std::string& name);
/// How many fields called `name`, at any depth, say yes: true, or a list or object with something in it.
/// Nullopt where there is no such field.
std::optional<int> count_of(const nlohmann::json& evidence, const std::string& name);

/// Evidence that must equal what is expected, field by field; lost at the first that does not, open where one
/// is missing.
struct Expected {
  const char* field;
  nlohmann::json value;
};
Decision decide_by_fields(const harness::RecordFile& file, const harness::CurrentSources& current,
                          const std::string& name, const std::vector<Expected>& expected, int points,
                          int lost_points);

}  // namespace assay::suites::nf4
