// SPDX-License-Identifier: Apache-2.0
// Faults in words: where, what was found, what was expected.
#pragma once

#include <optional>
#include <string>

#include "harness/core/outcome.hpp"
#include "harness/core/tensor.hpp"

namespace assay::harness {

/// "[170, 133] of 'y'" for a flat index.
std::string place(const TensorView& view, std::int64_t index);
/// One sentence for a Parity that does not pass.
std::string describe_mismatch(const Parity& parity, const TensorSet& outputs);
/// Where the bits of two sets of the same specs first differ and in how many elements; nullopt when they are
/// equal. CPU.
std::optional<std::string> describe_difference(const TensorSet& a, const TensorSet& b);

}  // namespace assay::harness
