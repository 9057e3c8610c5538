// SPDX-License-Identifier: Apache-2.0
// A case's tensors as reference/attention/eager takes them: by sequences and groups of heads.
#pragma once

#include <functional>
#include <vector>

#include "reference/attention/eager/attention.hpp"
#include "suites/compile/attention/suite.hpp"
#include "suites/compile/common/tensors.hpp"

namespace assay::suites::compile {

namespace eager_attention = reference::attention::eager;

/// Some key heads of one sequence, and the query heads on them.
struct Part {
  std::int64_t sequence = 0, begin = 0, length = 0;  ///< rows [begin, begin + length)
  std::int64_t first_kv_head = 0, kv_heads = 0;
  eager_attention::Scores scores = {};  ///< on the device of `in`
};
/// Of the baseline: 8 GiB of f32 scores.
inline constexpr std::int64_t kScoresAtOnce = std::int64_t{1} << 31;
/// All of them, each with at most `most_scores` scores, but with one key head at least.
std::vector<Part> parts_of(const AttentionCase& c, const Tensors& in, std::int64_t most_scores);

/// [heads, n, d] of the part as a view of [N, heads · d]; `rows` of queries or of keys.
at::Tensor heads_of(const AttentionCase& c, const Part& part, const at::Tensor& rows);
/// [heads, n] of the part as a view of lse.
at::Tensor lse_of(const AttentionCase& c, const Part& part, const at::Tensor& lse);

/// How parts are made: what wrong implementations change.
struct PartMath {
  std::function<eager_attention::Output(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                        const eager_attention::Scores&)>
      forward = eager_attention::forward;
  std::function<eager_attention::Gradients(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                           const at::Tensor& d_o, const eager_attention::Scores&)>
      backward = eager_attention::backward;
};
/// One call over `parts`, in the type of `in`; `out` may have another type or lie on another device.
void attend(const AttentionCase& c, const std::vector<Part>& parts, const Tensors& in, const Tensors& out,
            const PartMath& math = {});

/// The baseline's call.
void eager_attention_call(const AttentionCase& c, const Tensors& in, const Tensors& out);

/// Outputs of the case in f64 on the CPU, from `in` on the CPU; on the GPU where there is one and the case is
/// large, whose memory is given back.
Tensors attention_truth(const AttentionCase& c, const Tensors& in);

}  // namespace assay::suites::compile
