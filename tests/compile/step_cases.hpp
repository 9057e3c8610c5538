// SPDX-License-Identifier: Apache-2.0
// Questions that any step must answer, on the host and on a GPU. Non-fatal failures.
#pragma once

#include "tests/compile/step_parity.hpp"

namespace assay::testing {

/// Learning rate, labels and boundaries loaded between two runs from one state change what they must change.
void expect_inputs_have_an_effect(const MakeStep& make);
/// A step that ran with some lengths runs with others, fewer tokens among them, as the eager run of those
/// does.
void expect_other_lengths_follow(const MakeStep& make);
/// Loss within rounding of sums, gradients too, whatever room the step has behind the tokens.
void expect_padding_changes_nothing(const MakeStep& make);
/// Keep decides what is made again, not what comes out: equal bits of losses, gradients, adapters.
void expect_policies_agree(const MakeStep& make);
/// Two runs from one state: equal bits.
void expect_runs_repeat(const MakeStep& make);

// Faults that the comparison must see.
/// AdamW reads settings that were frozen with the list.
void expect_baked_rate_is_seen(const MakeStep& make);
/// Three sequences attended as one.
void expect_leak_is_seen(const MakeStep& make);

}  // namespace assay::testing
