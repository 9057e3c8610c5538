// SPDX-License-Identifier: Apache-2.0
// The pointwise challenges of the compile suite: what a case is, and how its tensors are named. N tokens, H
// hidden, I intermediate, h query and kv key heads of d elements; D is the case's dtype. Gradients are of Σ
// dy · y.
//
// compile/rms_norm  fwd  x D [N, H], weight D [H], residual D [N, H] (/residual)
//                        → y D [N, H], rstd f32 [N], sum D [N, H] (/residual)
//                   bwd  h D [N, H], weight D [H], rstd f32 [N], dy D [N, H], dsum D [N, H] (/residual)
//                        → dh D [N, H], dw D [H] (/dw)
// compile/rope      fwd  q D [N, h·d], k D [N, kv·d], positions i64 [N], inverse_frequency f32 [d/2], and
// what
//                        transformers makes of the last two once a step: cos, sin D [N, d]
//                        → q_out, k_out as q, k
//                   bwd  the same; q, k are gradients of the rotated, q_out, k_out of the unrotated
// compile/swiglu    fwd  gate, up D [N, I], or gate_up D [N, 2·I] (/halves) → y D [N, I]
//                   bwd  also dy D [N, I] → dgate, dup D [N, I], or dgate_up D [N, 2·I]; y D [N, I] (/again)
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "harness/core/challenge.hpp"

namespace assay::suites::compile {

enum class Piece { kRmsNorm, kRope, kSwiglu };
inline constexpr Piece kPieces[] = {Piece::kRmsNorm, Piece::kRope, Piece::kSwiglu};
/// "compile/rms_norm", …
std::string challenge_name(Piece piece);

struct PointwiseCase {
  Piece piece = Piece::kRmsNorm;
  std::int64_t tokens = 0;
  std::int64_t width = 0;                              ///< H or I
  std::int64_t heads = 0, kv_heads = 0, head_dim = 0;  ///< of rope
  harness::Dtype dtype = harness::Dtype::kBfloat16;
  bool backward = false;
  bool residual = false, trains_weight = false;  ///< of rms_norm
  bool packed = false;                           ///< of rope: positions start again with every document
  bool halves = false, again = false;            ///< of swiglu
};

inline constexpr double kEps = 1e-5;
inline constexpr double kTheta = 500000.0;

const PointwiseCase& parameters_of(const harness::Case& which);

/// The one table of cases that verification and timing both read.
std::vector<harness::Case> cases_of(Piece piece);
std::vector<harness::TensorSpec> inputs_of(const PointwiseCase& c);
std::vector<harness::TensorSpec> outputs_of(const PointwiseCase& c);
harness::TensorSet make_inputs(const harness::Case& which, std::uint64_t seed);

/// Truth by reference/compile's f64 formulas, row by row as it is asked for. `inputs` on the CPU, outliving
/// it.
harness::Oracle oracle_of(const harness::Case& which, const harness::TensorSet& inputs);

/// Bytes that must move: every input that the fused form needs read once, every output written once.
harness::Work work_of(const harness::Case& which);

}  // namespace assay::suites::compile
