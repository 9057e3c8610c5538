// SPDX-License-Identifier: Apache-2.0
// The known schedules, as compute actions without transfers (lower.hpp adds them). p ranks, m microbatches.
// Each throws std::invalid_argument for p or m below 1 and for what its rule cannot place.
#pragma once

#include "kernels/fsdp/schedule/schedule.hpp"

namespace assay::kernels::fsdp {

/// All forwards, then all backwards (Huang et al., arXiv 1811.06965). Keeps m microbatches. The plain one.
Schedule gpipe(int ranks, int microbatches);

/// Rank r runs p - r - 1 forwards ahead, then one forward and one backward in turn (Narayanan et al., arXiv
/// 2104.04473). Same bubble as GPipe, (p - 1)(F + B), but keeps p - r microbatches.
Schedule one_f_one_b(int ranks, int microbatches);

/// The same with `chunks` stages a rank, stage s on rank s mod p: bubble (p - 1)(F + B) / chunks. m must be a
/// multiple of p, as in Megatron-LM.
Schedule interleaved_1f1b(int ranks, int microbatches, int chunks);

/// 1F1B with W held back r microbatches on rank r, where it fills what was idle: bubble (p - 1)(F + I - W), p
/// microbatches kept on every rank (arXiv 2401.10241).
Schedule zb_h1(int ranks, int microbatches);

/// Two stages a rank, r and 2p - 1 - r, so that the first and the last stage share a rank (Qi et al., arXiv
/// 2405.15362): no bubble behind the start where F = I = W, p microbatches of both stages kept.
Schedule zbv(int ranks, int microbatches);

}  // namespace assay::kernels::fsdp
