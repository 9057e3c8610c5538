// SPDX-License-Identifier: Apache-2.0
// Caught by `parity`: "The softcap is nearly the identity."
#include "suites/compile/mutants/mutant.hpp"

namespace assay::suites::compile::mutants {
namespace {

using at::Tensor;

/// The probabilities are of the capped scores, what they came from is forgotten.
eager_attention::Gradients backward(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& d_o,
                                    const eager_attention::Scores& scores) {
  return eager_attention::backward_through({eager_attention::scores_of(q, k, scores).x, {}}, q, k, v, d_o,
                                           scores.scale);
}

const bool kThis = register_mutant(
    AttentionMutant{.name = "attention_score_derivative_dropped",
                    .about = "takes the derivative of the score mod for 1",
                    .math = {.backward = backward},
                    .shows_in = [](const AttentionCase& c) { return c.mod == Mod::kSoftcap && c.backward; }});

}  // namespace
}  // namespace assay::suites::compile::mutants
