// SPDX-License-Identifier: Apache-2.0
// Attention on a GPU: tensors to the views of kernels/attention, and its programs kept for the process.
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include <cmath>
#include <limits>
#include <map>
#include <mutex>
#include <tuple>

#include "kernels/attention/attention.hpp"
#include "kernels/torch/attention_call.hpp"
#include "kernels/torch/attention_mods.hpp"

namespace assay::kernels::torch {
namespace {

using at::Tensor;
using attention::FlexAttention;

/// Programs of this process. Never destroyed: the process ends after CUDA does.
class Layers {
 public:
  static Layers& instance() {
    static auto& layers = *new Layers;
    return layers;
  }
  FlexAttention layer(const attention::Mods& mods, const attention::HeadType& head) {
    const attention::Target target = attention::current_target();
    const std::lock_guard lock(mutex_);
    const Key key{mods.score_mod, mods.mask_mod, mods.mask_by_head, mods.mask_by_sequence,
                  head.head_size, head.type,     target.sm};
    const auto found = layers_.find(key);
    if (found != layers_.end())
      return found->second;
    return layers_.emplace(key, FlexAttention(compiler_, mods, head, target)).first->second;
  }
  attention::CompileCounters counters() {
    const std::lock_guard lock(mutex_);
    return compiler_->counters();
  }
  void set_folder(const std::string& folder) {
    auto compiler = std::make_shared<attention::Compiler>(folder);
    const std::lock_guard lock(mutex_);
    compiler_ = std::move(compiler);
    layers_.clear();
  }

 private:
  using Key = std::tuple<std::string, std::string, bool, bool, int, attention::ElementType, int>;
  std::mutex mutex_;
  std::shared_ptr<attention::Compiler> compiler_ = std::make_shared<attention::Compiler>();
  std::map<Key, FlexAttention> layers_;
};

PlainMods plain_of(const AttentionOptions& o, at::ScalarType type) {
  return {.causal = o.causal,
          .window = static_cast<int>(o.window),
          .softcap = static_cast<float>(o.softcap),
          .exact_tanh = type == at::kHalf};
}

attention::Mods mods_of(const AttentionOptions& o, at::ScalarType type) {
  if (!o.has_text())
    return plain_mods(plain_of(o, type));
  return {.score_mod = o.score_mod,
          .mask_mod = o.mask_mod,
          .mask_by_head = o.mask_by_head,
          .mask_by_sequence = o.mask_by_sequence};
}

/// `buffers` contiguous.
attention::BufferTable table_of(const AttentionOptions& o, const std::vector<Tensor>& buffers,
                                at::ScalarType type) {
  if (!o.has_text())
    return plain_buffers(plain_of(o, type));
  attention::BufferTable table;
  for (std::size_t i = 0; i < buffers.size(); ++i) table.data[i] = buffers[i].const_data_ptr();
  for (std::size_t i = 0; i < o.scalars.size(); ++i) table.scalars[i] = static_cast<float>(o.scalars[i]);
  for (std::size_t i = 0; i < o.integers.size(); ++i) table.integers[i] = static_cast<int>(o.integers[i]);
  return table;
}

attention::HeadType head_of(const Tensor& q) {
  const std::int64_t size = q.size(3);
  TORCH_CHECK_VALUE(size == 32 || size == 64 || size == 96 || size == 128,
                    "expected a head_size of 32, 64, 96 or 128 on a GPU, found ", size);
  TORCH_CHECK_TYPE(q.scalar_type() == at::kHalf || q.scalar_type() == at::kBFloat16,
                   "expected float16 or bfloat16 attention on a GPU, found ", q.scalar_type());
  return {static_cast<int>(size), q.scalar_type() == at::kHalf ? attention::ElementType::kFloat16
                                                               : attention::ElementType::kBfloat16};
}

/// `x`, or a copy where the kernels cannot walk it: 16-byte rows, heads contiguous, no row over another.
Tensor walkable(const Tensor& x) {
  bool walkable = x.stride(3) == 1 && reinterpret_cast<std::uintptr_t>(x.const_data_ptr()) % 16 == 0;
  for (int dim = 0; dim < 3; ++dim)
    walkable &= x.size(dim) == 1 || (x.stride(dim) % 8 == 0 && x.stride(dim) > 0);
  return walkable ? x : x.clone(at::MemoryFormat::Contiguous);
}

/// Of x [B, L, heads, D], walkable; packed: [1, B·L, heads, D]. A stride that is never walked is a head's
/// size.
attention::View view_of(const Tensor& x, bool packed) {
  const auto stride = [&](int dim) { return x.size(dim) == 1 ? x.size(3) : x.stride(dim); };
  return {const_cast<void*>(x.const_data_ptr()), packed ? 0 : stride(0), stride(1), stride(2)};
}

/// Everything of a call that lives until its kernels are enqueued.
struct Prepared {
  bool packed;
  FlexAttention layer;
  Tensor q = {}, k = {}, v = {}, starts = {}, mask_memory = {};
  std::vector<Tensor> buffers = {};
  attention::Sequences sequences = {};
  attention::BlockMask mask = {};

  /// As the kernels see it: packed as one row of tokens.
  Tensor laid_out(const Tensor& x) const {
    return walkable(packed ? x.reshape({1, x.size(0) * x.size(1), x.size(2), x.size(3)}) : x);
  }
  attention::View view(const Tensor& x) const { return view_of(x, packed); }
};

attention::Sequences sequences_of(const AttentionInputs& in, const AttentionOptions& o,
                                  const Tensor& starts) {
  const std::int64_t rows = in.q.size(0) * in.q.size(1);
  const bool packed = starts.defined();
  const std::int64_t most = packed && o.max_length > 0 ? std::min(o.max_length, rows) : rows;
  TORCH_CHECK_VALUE(std::max(rows, in.k.size(0) * in.k.size(1)) < (std::int64_t{1} << 31) - 256,
                    "expected fewer than 2^31 - 256 tokens, found ", rows, " queries and ",
                    in.k.size(0) * in.k.size(1), " keys");
  attention::Sequences s;
  s.sequences = static_cast<int>(packed ? starts.numel() - 1 : in.q.size(0));
  s.q_heads = static_cast<int>(in.q.size(2));
  s.kv_heads = static_cast<int>(in.k.size(2));
  s.q_length = static_cast<int>(packed ? most : in.q.size(1));
  s.k_length = static_cast<int>(packed ? most : in.k.size(1));
  s.q_starts = s.k_starts = packed ? starts.const_data_ptr<std::int32_t>() : nullptr;
  s.q_rows = s.k_rows = packed ? rows : 0;
  s.scale = static_cast<float>(o.scale.value_or(1.0 / std::sqrt(static_cast<double>(in.q.size(3)))));
  return s;
}

Prepared prepare(const AttentionInputs& in, const AttentionOptions& o) {
  check_attention_types(in, o);
  check_attention_sizes(in, o);
  const at::ScalarType type = in.q.scalar_type();
  const attention::Mods mods = mods_of(o, type);
  Prepared p{.packed = o.cu_seqlens.has_value(), .layer = Layers::instance().layer(mods, head_of(in.q))};
  if (p.packed)
    p.starts = o.cu_seqlens->contiguous();
  p.q = p.laid_out(in.q), p.k = p.laid_out(in.k), p.v = p.laid_out(in.v);
  for (const Tensor& buffer : o.buffers) p.buffers.push_back(buffer.contiguous());
  p.sequences = sequences_of(in, o, p.starts);
  p.sequences.buffers = table_of(o, p.buffers, type);
  const auto bytes = static_cast<std::int64_t>(attention::block_mask_bytes(mods, p.sequences));
  p.mask_memory = at::empty({bytes}, in.q.options().dtype(at::kByte));
  p.mask = {p.mask_memory.mutable_data_ptr(), static_cast<std::size_t>(bytes)};
  p.layer.build_block_mask(p.sequences, p.mask, c10::cuda::getCurrentCUDAStream());
  return p;
}

/// Packed: rows behind the last sequence are not written, so they start as zeros.
Tensor result_like(const Tensor& x, bool packed) {
  return packed ? at::zeros(x.sizes(), x.options()) : at::empty(x.sizes(), x.options());
}

/// `x` contiguous: a view, in which results appear.
Tensor as_rows(const Tensor& x, bool packed) {
  return packed ? x.view({1, x.size(0) * x.size(1), x.size(2), x.size(3)}) : x;
}

}  // namespace

AttentionResult attention_cuda(const AttentionInputs& in, const AttentionOptions& options) {
  const c10::cuda::CUDAGuard guard(in.q.device());
  const Prepared p = prepare(in, options);
  const std::int64_t batch = in.q.size(0), length = in.q.size(1), heads = in.q.size(2);
  const auto floats = in.q.options().dtype(at::kFloat);
  AttentionResult out{result_like(in.q, p.packed), {}};
  out.lse = p.packed ? at::full({heads, batch * length}, -std::numeric_limits<double>::infinity(), floats)
                     : at::empty({batch, heads, length}, floats);
  if (in.q.numel() == 0)
    return out;
  p.layer.forward({.sequences = p.sequences,
                   .mask = p.mask,
                   .q = p.view(p.q),
                   .k = p.view(p.k),
                   .v = p.view(p.v),
                   .o = p.view(as_rows(out.o, p.packed)),
                   .lse = out.lse.mutable_data_ptr<float>()},
                  c10::cuda::getCurrentCUDAStream());
  return out;
}

AttentionInputs attention_backward_cuda(const Tensor& d_o, const AttentionInputs& in,
                                        const AttentionResult& forward, const AttentionOptions& options) {
  const c10::cuda::CUDAGuard guard(in.q.device());
  const Prepared p = prepare(in, options);
  AttentionInputs out{result_like(in.q, p.packed), result_like(in.k, p.packed), result_like(in.v, p.packed)};
  if (in.q.numel() == 0) {
    for (const Tensor& gradient : {out.k, out.v}) gradient.zero_();
    return out;
  }
  const Tensor upstream = p.laid_out(d_o), o = p.laid_out(forward.o), lse = forward.lse.contiguous();
  attention::BackwardArgs args{.sequences = p.sequences,
                               .mask = p.mask,
                               .q = p.view(p.q),
                               .k = p.view(p.k),
                               .v = p.view(p.v),
                               .o = p.view(o),
                               .d_o = p.view(upstream),
                               .d_q = p.view(as_rows(out.q, p.packed)),
                               .d_k = p.view(as_rows(out.k, p.packed)),
                               .d_v = p.view(as_rows(out.v, p.packed)),
                               .lse = lse.const_data_ptr<float>()};
  const std::size_t bytes = attention::backward_workspace_bytes(args);
  const Tensor workspace = at::empty({static_cast<std::int64_t>(bytes)}, in.q.options().dtype(at::kByte));
  args.workspace = workspace.mutable_data_ptr();
  args.workspace_bytes = bytes;
  p.layer.backward(args, c10::cuda::getCurrentCUDAStream());
  return out;
}

attention::CompileCounters attention_counters() {
  return Layers::instance().counters();
}

void set_attention_cache(const std::string& folder) {
  Layers::instance().set_folder(folder);
}

}  // namespace assay::kernels::torch
