// SPDX-License-Identifier: Apache-2.0
// Statements about this suite that are not one implementation on one case.
#pragma once

#include <vector>

#include "suites/backprop/suite.hpp"

namespace assay::suites::backprop {

/// cross_entropy has them all: f32_upcast, gradients_from_autograd, dynamic_chunk_sizes, llama_training.
std::vector<harness::Challenge::SuiteCheck> checks_of(LossKind loss);

}  // namespace assay::suites::backprop
