// SPDX-License-Identifier: Apache-2.0
// The two heads that are compared: the naive one with all logits at once, in several orders of summation, and
// the memory-efficient one.
#pragma once

#include <vector>

#include "suites/backprop/training_run.hpp"

namespace assay::suites::backprop {

/// Logits in the states' type, made f32, torch's cross entropy: as everybody writes it first, then the same
/// numbers summed in `count` − 1 other orders (2 ≤ count ≤ 4): sequences of the batch reversed and rows
/// summed before the division by their number; inner sums of the products from their other ends; rows in two
/// halves, whose sums are added, or, where `narrow` gradients would be rounded once more by that, sequences
/// reversed.
std::vector<TrainingRun> naive_trainings(int count, bool narrow = false);

/// kernels/backprop's general path (autograd through a function of chunks), `chunk_rows` rows at a time.
TrainingRun memory_efficient_training(std::int64_t chunk_rows);

}  // namespace assay::suites::backprop
