// SPDX-License-Identifier: Apache-2.0
// torch.ops.assay.attention and flex_attention: schemas, fake kernels, autograd. The inner operators take
// either kind of options, and return lse for the backward pass.
#include <ATen/ops/empty.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <tuple>

#include "kernels/torch/attention_call.hpp"
#include "kernels/torch/autograd_words.hpp"

namespace assay::kernels::torch {
namespace {

using at::Tensor;
using ::torch::autograd::AutogradContext;
using ::torch::autograd::variable_list;
using Pair = std::tuple<Tensor, Tensor>;
using Triple = std::tuple<Tensor, Tensor, Tensor>;

/// An inner operator's arguments behind the tensors, in the schema's order.
#define ASSAY_ATTENTION_OPTIONS                                                                    \
  const MaybeTensor &cu_seqlens, c10::SymInt max_length, std::optional<double> scale, bool causal, \
      std::int64_t window, double softcap, std::string_view score_mod, std::string_view mask_mod,  \
      at::TensorList buffers, at::ArrayRef<double> scalars, at::IntArrayRef integers,              \
      std::array<bool, 2> mask_by

AttentionOptions options_of(ASSAY_ATTENTION_OPTIONS) {
  AttentionOptions o;
  o.cu_seqlens = cu_seqlens;
  o.max_length =
      max_length.maybe_as_int().value_or(0);  // a symbol: of a fake tensor, whose length nobody reads
  o.scale = scale;
  o.causal = causal;
  o.window = window;
  o.softcap = softcap;
  o.score_mod = score_mod;
  o.mask_mod = mask_mod;
  o.buffers = buffers.vec();
  o.scalars = scalars.vec();
  o.integers = integers.vec();
  o.mask_by_head = mask_by[0];
  o.mask_by_sequence = mask_by[1];
  return o;
}
#define ASSAY_ATTENTION_GIVEN                                                                              \
  cu_seqlens, max_length, scale, causal, window, softcap, score_mod, mask_mod, buffers, scalars, integers, \
      mask_by

Pair forward(const Tensor& q, const Tensor& k, const Tensor& v, ASSAY_ATTENTION_OPTIONS) {
  const AttentionOptions options = options_of(ASSAY_ATTENTION_GIVEN);
  const AttentionResult r =
      q.is_cuda() ? attention_cuda({q, k, v}, options) : attention_cpu({q, k, v}, options);
  return {r.o, r.lse};
}

Triple backward(const Tensor& d_o, const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& o,
                const Tensor& lse, ASSAY_ATTENTION_OPTIONS) {
  const AttentionOptions options = options_of(ASSAY_ATTENTION_GIVEN);
  const AttentionInputs g = q.is_cuda() ? attention_backward_cuda(d_o, {q, k, v}, {o, lse}, options)
                                        : attention_backward_cpu(d_o, {q, k, v}, lse, options);
  return {g.q, g.k, g.v};
}

Pair fake_forward(const Tensor& q, const Tensor& k, const Tensor& v, ASSAY_ATTENTION_OPTIONS) {
  check_attention_types({q, k, v}, options_of(ASSAY_ATTENTION_GIVEN));
  const auto statistics = q.options().dtype(q.scalar_type() == at::kDouble ? at::kDouble : at::kFloat);
  const c10::SymInt batch = q.sym_size(0), length = q.sym_size(1), heads = q.sym_size(2);
  return {at::empty_symint(q.sym_sizes(), q.options()),
          cu_seqlens ? at::empty_symint({heads, batch * length}, statistics)
                     : at::empty_symint({batch, heads, length}, statistics)};
}

Triple fake_backward(const Tensor&, const Tensor& q, const Tensor& k, const Tensor& v, const Tensor&,
                     const Tensor&, ASSAY_ATTENTION_OPTIONS) {
  check_attention_types({q, k, v}, options_of(ASSAY_ATTENTION_GIVEN));
  return {at::empty_symint(q.sym_sizes(), q.options()), at::empty_symint(k.sym_sizes(), k.options()),
          at::empty_symint(v.sym_sizes(), v.options())};
}

/// Options that are no tensors, from forward to backward.
struct KeptOptions : ::torch::CustomClassHolder {
  AttentionOptions options;
  c10::SymInt max_length;
};

Pair call_forward(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionOptions& o,
                  const c10::SymInt& max_length) {
  static const auto op = operator_named<decltype(forward)>("assay::_attention");
  return op.call(q, k, v, o.cu_seqlens, max_length, o.scale, o.causal, o.window, o.softcap, o.score_mod,
                 o.mask_mod, o.buffers, o.scalars, o.integers, {o.mask_by_head, o.mask_by_sequence});
}

struct AttentionFunction : ::torch::autograd::Function<AttentionFunction> {
  static Tensor forward(AutogradContext* ctx, const Tensor& q, const Tensor& k, const Tensor& v,
                        const AttentionOptions& options, const c10::SymInt& max_length) {
    const at::AutoDispatchBelowADInplaceOrView below;
    const auto [o, lse] = call_forward(q, k, v, options, max_length);
    variable_list saved{q, k, v, o, lse, options.cu_seqlens.value_or(Tensor())};
    saved.insert(saved.end(), options.buffers.begin(), options.buffers.end());
    ctx->save_for_backward(std::move(saved));
    auto kept = c10::make_intrusive<KeptOptions>();
    kept->options = options;
    kept->options.cu_seqlens.reset();
    kept->options.buffers.clear();
    kept->max_length = max_length;
    ctx->saved_data["options"] = c10::IValue::make_capsule(kept);
    return o;
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& upstream) {
    refuse_second_derivative("attention");
    const variable_list saved = ctx->get_saved_variables();
    const auto kept = c10::static_intrusive_pointer_cast<KeptOptions>(ctx->saved_data["options"].toCapsule());
    const AttentionOptions& o = kept->options;
    const std::vector<Tensor> buffers(saved.begin() + 6, saved.end());
    static const auto op = operator_named<decltype(fake_backward)>("assay::_attention_backward");
    const auto [dq, dk, dv] =
        op.call(upstream[0], saved[0], saved[1], saved[2], saved[3], saved[4], maybe(saved[5]),
                kept->max_length, o.scale, o.causal, o.window, o.softcap, o.score_mod, o.mask_mod, buffers,
                o.scalars, o.integers, {o.mask_by_head, o.mask_by_sequence});
    return {dq, dk, dv, Tensor(), Tensor()};
  }
};

template <bool kDifferentiable>
Tensor run(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionOptions& o,
           const std::optional<c10::SymInt>& max_length) {
  const c10::SymInt most = max_length.value_or(0);
  if constexpr (kDifferentiable)
    return AttentionFunction::apply(q, k, v, o, most);
  return std::get<0>(call_forward(q, k, v, o, most));
}

template <bool kDifferentiable>
Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v, std::optional<double> scale, bool causal,
                 std::int64_t window, double softcap, const MaybeTensor& cu_seqlens,
                 std::optional<c10::SymInt> max_length) {
  AttentionOptions o;
  o.cu_seqlens = cu_seqlens;
  o.scale = scale;
  o.causal = causal;
  o.window = window;
  o.softcap = softcap;
  return run<kDifferentiable>(q, k, v, o, max_length);
}

template <bool kDifferentiable>
Tensor flex_attention(const Tensor& q, const Tensor& k, const Tensor& v, at::TensorList buffers,
                      std::string_view score_mod, std::string_view mask_mod, at::ArrayRef<double> scalars,
                      at::IntArrayRef integers, std::optional<double> scale, bool mask_by_head,
                      bool mask_by_sequence, const MaybeTensor& cu_seqlens,
                      std::optional<c10::SymInt> max_length) {
  TORCH_CHECK_VALUE(!score_mod.empty() || !mask_mod.empty(),
                    "expected a score_mod or a mask_mod, found neither; assay.attention has the plain kinds");
  AttentionOptions o;
  o.cu_seqlens = cu_seqlens;
  o.scale = scale;
  o.causal = false;
  o.score_mod = score_mod;
  o.mask_mod = mask_mod;
  o.buffers = buffers.vec();
  o.scalars = scalars.vec();
  o.integers = integers.vec();
  o.mask_by_head = mask_by_head;
  o.mask_by_sequence = mask_by_sequence;
  return run<kDifferentiable>(q, k, v, o, max_length);
}

std::vector<std::int64_t> counters() {
  const attention::CompileCounters c = attention_counters();
  return {c.compilations, c.disk_loads, c.memory_hits, c.rejected_files};
}

}  // namespace
}  // namespace assay::kernels::torch

#define ASSAY_INNER_OPTIONS                                                                           \
  "Tensor? cu_seqlens, SymInt max_length, float? scale, bool causal, int window, float softcap, str " \
  "score_mod, str mask_mod, Tensor[] buffers, float[] scalars, int[] integers, bool[2] mask_by)"

TORCH_LIBRARY_FRAGMENT(assay, m) {
  const std::vector<at::Tag> tags{at::Tag::pt2_compliant_tag};
  m.def(
      "attention(Tensor q, Tensor k, Tensor v, *, float? scale=None, bool causal=True, int window=0, float "
      "softcap=0.0, Tensor? cu_seqlens=None, SymInt? max_length=None) -> Tensor",
      tags);
  m.def(
      "flex_attention(Tensor q, Tensor k, Tensor v, Tensor[] buffers, *, str score_mod=\"\", str "
      "mask_mod=\"\", float[] scalars=[], int[] integers=[], float? scale=None, bool mask_by_head=True, bool "
      "mask_by_sequence=True, Tensor? cu_seqlens=None, SymInt? max_length=None) -> Tensor",
      tags);
  m.def("_attention(Tensor q, Tensor k, Tensor v, " ASSAY_INNER_OPTIONS " -> (Tensor, Tensor)", tags);
  m.def("_attention_backward(Tensor d_o, Tensor q, Tensor k, Tensor v, Tensor o, Tensor lse, "  //
        ASSAY_INNER_OPTIONS " -> (Tensor, Tensor, Tensor)",
        tags);
  // Of the process: [compilations, loads from disk, found again, files rejected].
  m.def("attention_counters() -> int[]", assay::kernels::torch::counters);
  m.def("attention_cache(str folder) -> ()",
        [](const std::string& folder) { assay::kernels::torch::set_attention_cache(folder); });
}

TORCH_LIBRARY_IMPL(assay, CompositeExplicitAutograd, m) {
  m.impl("attention", assay::kernels::torch::attention<false>);
  m.impl("flex_attention", assay::kernels::torch::flex_attention<false>);
}
TORCH_LIBRARY_IMPL(assay, Autograd, m) {
  m.impl("attention", assay::kernels::torch::attention<true>);
  m.impl("flex_attention", assay::kernels::torch::flex_attention<true>);
}
TORCH_LIBRARY_IMPL(assay, CPU, m) {
  m.impl("_attention", assay::kernels::torch::forward);
  m.impl("_attention_backward", assay::kernels::torch::backward);
}
TORCH_LIBRARY_IMPL(assay, CUDA, m) {
  m.impl("_attention", assay::kernels::torch::forward);
  m.impl("_attention_backward", assay::kernels::torch::backward);
}
TORCH_LIBRARY_IMPL(assay, Meta, m) {
  m.impl("_attention", assay::kernels::torch::fake_forward);
  m.impl("_attention_backward", assay::kernels::torch::fake_backward);
}
