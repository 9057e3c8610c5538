// SPDX-License-Identifier: Apache-2.0
// Questions about a loss scale that finds itself, on the host and on a GPU. Non-fatal failures.
#pragma once

#include "tests/compile/step_parity.hpp"

namespace assay::testing {

/// Losses, gradients and adapters follow the eager run as without a scale, f16, several initial scales; the
/// scale doubles behind the growth interval.
void expect_scaled_steps_follow(const MakeStep& make);
/// A scale that overflows f16 moves neither adapters nor moments and halves until a step is finite, whose
/// result has the bits of a first step at that scale, with clipping and without.
void expect_overflow_skips_and_backs_off(const MakeStep& make);

}  // namespace assay::testing
