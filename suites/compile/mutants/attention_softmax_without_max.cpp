// SPDX-License-Identifier: Apache-2.0
// Caught by `parity`: "Scores are around 1, so exp cannot overflow."
#include <ATen/TensorOperators.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/log.h>

#include "suites/compile/mutants/mutant.hpp"

namespace assay::suites::compile::mutants {
namespace {

using at::Tensor;

eager_attention::Output forward(const Tensor& q, const Tensor& k, const Tensor& v,
                                const eager_attention::Scores& scores) {
  const std::int64_t shared = q.size(0) / k.size(0);
  const Tensor all_k = k.repeat_interleave(shared, 0), all_v = v.repeat_interleave(shared, 0);
  const Tensor x = (at::bmm(q, all_k.transpose(1, 2)) * scores.scale).to(at::kFloat);
  const Tensor e = at::exp(x) * scores.visible;
  const Tensor sum = e.sum(-1, /*keepdim=*/true);
  return {at::bmm((e / sum).to(q.scalar_type()), all_v), at::log(sum).squeeze(-1)};
}

const bool kThis = register_mutant(
    AttentionMutant{.name = "attention_softmax_without_max",
                    .about = "takes exp of scores as they are",
                    .math = {.forward = forward},
                    .shows_in = [](const AttentionCase& c) { return c.high && !c.backward; }});

}  // namespace
}  // namespace assay::suites::compile::mutants
