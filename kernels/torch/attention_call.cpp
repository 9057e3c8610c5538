// SPDX-License-Identifier: Apache-2.0
// What attention accepts, on every device.
#include "kernels/torch/attention_call.hpp"

#include "kernels/attention/device/params.hpp"
#include "kernels/torch/llama_rows.hpp"

namespace assay::kernels::torch {
namespace {

void check_mods(const AttentionOptions& o, const at::Tensor& q) {
  constexpr std::size_t kMost = attention::kMaxBuffers;
  TORCH_CHECK_VALUE(o.buffers.size() <= kMost && o.scalars.size() <= kMost && o.integers.size() <= kMost,
                    "expected at most ", kMost, " buffers, scalars and integers, found ", o.buffers.size(),
                    ", ", o.scalars.size(), " and ", o.integers.size());
  for (const at::Tensor& buffer : o.buffers)
    TORCH_CHECK_VALUE(buffer.device() == q.device(), "expected buffers on q's device ", q.device(),
                      ", found ", buffer.device());
  TORCH_CHECK_VALUE(o.window >= 0 && o.window < (std::int64_t{1} << 31),
                    "expected a window of at least 1, or 0 for none, found ", o.window);
  TORCH_CHECK_VALUE(o.softcap >= 0.0, "expected a softcap above 0, or 0 for none, found ", o.softcap);
}

}  // namespace

void check_attention_types(const AttentionInputs& in, const AttentionOptions& options) {
  check_float(in.q, "q");
  check_alike(in.k, "k", in.q, "q");
  check_alike(in.v, "v", in.q, "q");
  TORCH_CHECK_VALUE(in.q.dim() == 4 && in.k.dim() == 4 && in.v.dim() == 4,
                    "expected q, k and v as [batch, length, heads, head_size], found ", in.q.dim(), ", ",
                    in.k.dim(), " and ", in.v.dim(), " dimensions");
  check_mods(options, in.q);
  if (!options.cu_seqlens)
    return;
  const at::Tensor& starts = *options.cu_seqlens;
  TORCH_CHECK_TYPE(starts.scalar_type() == at::kInt, "expected cu_seqlens of int32, found ",
                   starts.scalar_type());
  TORCH_CHECK_VALUE(starts.dim() == 1, "expected cu_seqlens as [sequences + 1], found ", starts.dim(),
                    " dimensions");
  TORCH_CHECK_VALUE(starts.device() == in.q.device(), "expected cu_seqlens on q's device ", in.q.device(),
                    ", found ", starts.device());
}

void check_attention_sizes(const AttentionInputs& in, const AttentionOptions& options) {
  const auto q = in.q.sizes(), k = in.k.sizes();
  TORCH_CHECK_VALUE(in.v.sizes() == k, "expected v of k's shape ", k, ", found ", in.v.sizes());
  TORCH_CHECK_VALUE(q[0] == k[0] && q[3] == k[3], "expected q and k of the same batch and head_size, found ",
                    q, " and ", k);
  TORCH_CHECK_VALUE(k[2] >= 1 && q[2] % k[2] == 0,
                    "expected a multiple of the key heads as query heads, found ", q[2], " on ", k[2]);
  if (!options.cu_seqlens)
    return;
  TORCH_CHECK_VALUE(q[1] == k[1], "expected as many keys as queries where cu_seqlens is given, found ", q[1],
                    " and ", k[1]);
  TORCH_CHECK_VALUE(options.cu_seqlens->size(0) >= 1,
                    "expected cu_seqlens of at least 1 element, found none");
  TORCH_CHECK_VALUE(options.max_length >= 0, "expected max_length of at least 0, found ", options.max_length);
}

}  // namespace assay::kernels::torch
