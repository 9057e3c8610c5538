// SPDX-License-Identifier: Apache-2.0
// One call of torch.ops.assay.attention or flex_attention: its options in one piece, and what runs it on each
// device. Formulas: kernels/attention/attention.hpp.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "kernels/attention/compiler.hpp"

namespace assay::kernels::torch {

using MaybeTensor = std::optional<at::Tensor>;

struct AttentionOptions {
  MaybeTensor cu_seqlens =
      {};  ///< int32 [sequences + 1] rising: rows of the batch's tokens, one behind another
  std::int64_t max_length = 0;       ///< packed: the most tokens a sequence has; 0: all
  std::optional<double> scale = {};  ///< none: 1/√head_size
  bool causal = true;
  std::int64_t window = 0;
  double softcap = 0.0;
  std::string score_mod = {}, mask_mod = {};  ///< CUDA C++; either: the three above are not used
  std::vector<at::Tensor> buffers = {};       ///< what the texts read
  std::vector<double> scalars = {};
  std::vector<std::int64_t> integers = {};
  bool mask_by_head = true, mask_by_sequence = true;

  bool has_text() const { return !score_mod.empty() || !mask_mod.empty(); }
};

/// q [B, Lq, heads, D], k and v [B, Lk, kv_heads, D].
struct AttentionInputs {
  at::Tensor q, k, v;
};
/// o as q, contiguous; lse f32 (f64 for f64) [B, heads, Lq], packed [heads, B·Lq].
struct AttentionResult {
  at::Tensor o, lse;
};

/// What can be said without sizes. Throws TypeError, ValueError.
void check_attention_types(const AttentionInputs& in, const AttentionOptions& options);
void check_attention_sizes(const AttentionInputs& in, const AttentionOptions& options);

/// By torch, a sequence at a time; scores as a whole. f16, bf16 (f32 inside), f32 and f64. Texts of mods are
/// refused.
AttentionResult attention_cpu(const AttentionInputs& in, const AttentionOptions& options);
AttentionInputs attention_backward_cpu(const at::Tensor& d_o, const AttentionInputs& in,
                                       const at::Tensor& lse, const AttentionOptions& options);

/// By kernels/attention in the current stream: f16 and bf16, head sizes 32, 64, 96 and 128; anything else is
/// refused. Compiles at the first call of a kind; the block mask is built in each call.
AttentionResult attention_cuda(const AttentionInputs& in, const AttentionOptions& options);
AttentionInputs attention_backward_cuda(const at::Tensor& d_o, const AttentionInputs& in,
                                        const AttentionResult& forward, const AttentionOptions& options);

/// Of the process' compiler.
attention::CompileCounters attention_counters();
/// Keeps compiled programs in `folder` from now on; what was compiled before is forgotten.
void set_attention_cache(const std::string& folder);

}  // namespace assay::kernels::torch
