// SPDX-License-Identifier: Apache-2.0
// The check `llama_training`: a Llama learns the same with the memory-efficient head as with the naive one.
#pragma once

#include <string>

#include "harness/core/challenge.hpp"
#include "suites/backprop/training_band.hpp"

namespace assay::suites::backprop {

/// One plan trained naively in `naive_orders` orders of summation, and as `candidate` says.
TrainingVerdict compare_training(const TrainingPlan& plan, const reference::llama::Llama& base,
                                 int naive_orders, const TrainingRun& candidate);

/// Small enough for seconds on a CPU; 60 steps.
reference::llama::LlamaConfig small_training_config();
TrainingPlan small_training_plan(Trained trained);

/// 60 AdamW steps on the licences that every Debian machine ships, weights random, first adapters on all
/// linears with a frozen head, then the head. On a CPU a small Llama in f32; on a GPU the shape of
/// Llama-3.2-1B in f32, where rounding hides least, and in bf16, where trajectories part so soon that the
/// band comes from four orders of summation. Evidence: `model`, `llama_1b`, `steps`, `loss_matches`,
/// `loss_fell`, and per variant every difference beside that of the naive runs. Throws with the reason when a
/// variant does not match or does not learn.
harness::Challenge::SuiteCheck llama_training_check();

}  // namespace assay::suites::backprop
