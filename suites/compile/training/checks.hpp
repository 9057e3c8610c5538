// SPDX-License-Identifier: Apache-2.0
// The checks of compile/training_step: the captured step beside other people's.
#pragma once

#include <vector>

#include "harness/core/challenge.hpp"

namespace assay::suites::compile {

inline constexpr const char* kTrainingStep = "compile/training_step";
inline constexpr const char* kCapturedStep = "captured_step";
inline constexpr const char* kProducts = "products";

/// On a GPU of 40 GiB and more; skipped elsewhere and where the interpreter lacks transformers, peft or
/// bitsandbytes.
///   speed_8b, speed_1b: Llama-3.1-8B's shape at 2 × 2048 tokens, Llama-3.2-1B's at 4 × 2048. Three policies
///     of what is kept; the fastest within half of the peer's memory in pairs with transformers +
///     bitsandbytes + peft under torch.compile, on the same weights and tokens; mixes of lengths from 64 to
///     4096 against full sequences by one graph. Wanted: 1.3x and 1.6x, packed 0.95 of full, 200 mixes (1B)
///     without a compilation.
///   peers_8b, peers_1b: the same model by the other methods, for the record.
///   products: what cuBLASLt's timed search tried and chose for the 1B step, over 200 mixes of lengths; the
///   same
///     from the table on disk, without a search.
///   sixty_steps: Llama-3.2-1B's shape for 60 steps: losses and adapters within the band of transformers'
///     own runs that differ in the order of sums.
std::vector<harness::Challenge::SuiteCheck> training_checks();

}  // namespace assay::suites::compile
