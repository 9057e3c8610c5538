// SPDX-License-Identifier: Apache-2.0
// Losses of token log-probabilities on a case's inputs: what both oracles have in common.
#pragma once

#include <vector>

#include "reference/backprop/token_statistics.hpp"
#include "suites/backprop/suite.hpp"

namespace assay::suites::backprop {

/// i64 input as a vector. `inputs` on the CPU.
std::vector<std::int64_t> tokens_of(const harness::TensorSet& inputs, const char* name);

/// grpo or a preference loss of logp [N]; `reference`: the reference head's log-probabilities, empty without
/// one.
reference::backprop::TokenLoss token_loss(const BackpropCase& c, const harness::TensorSet& inputs,
                                          const std::vector<double>& logp,
                                          const std::vector<double>& reference);

}  // namespace assay::suites::backprop
