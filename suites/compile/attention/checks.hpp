// SPDX-License-Identifier: Apache-2.0
// Checks about attention as a whole: many lengths, one compilation.
#pragma once

#include <string>
#include <vector>

#include "harness/core/challenge.hpp"
#include "suites/compile/attention/suite.hpp"

namespace assay::suites::compile {

inline constexpr const char* kLengthsCheck = "attention_lengths";

/// attention_lengths: on a GPU, every mix of length_mixes() forward and backward, held to the challenge's
/// parity rule, by programs that were compiled before the first.
std::vector<harness::Challenge::SuiteCheck> attention_checks();

/// Dense and packed batches, no two alike.
std::vector<AttentionCase> length_mixes();

/// What a run over mixes of lengths saw.
struct LengthsSeen {
  std::int64_t mixes = 0, packed = 0, distinct_lengths = 0;
  std::int64_t programs = 0;        ///< compiled before the first mix
  std::int64_t compiled_later = 0;  ///< recompilations
};
/// Evidence as JSON. Throws std::runtime_error where it is no proof: fewer than 200 mixes, nothing compiled
/// at all, more than 30 programs, or one of them after the first mix.
std::string lengths_evidence(const LengthsSeen& seen);

}  // namespace assay::suites::compile
