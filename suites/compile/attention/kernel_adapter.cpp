// SPDX-License-Identifier: Apache-2.0
#include "suites/compile/attention/kernel_adapter.hpp"

#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "harness/device/device.hpp"
#include "harness/memory/memory.hpp"
#include "kernels/attention/example_mods.hpp"

namespace assay::suites::compile {
namespace {

using harness::TensorSet;
using harness::TensorView;
using Pointers = std::map<std::string, void*, std::less<>>;

/// What a call needs beside the case: where its tensors, its mask and its workspace lie.
struct Places {
  AttentionCase c;
  flex::Sequences sequences;
  flex::BlockMask mask;
  Pointers tensors;
  void* workspace = nullptr;

  void* at(const char* name) const {
    const auto found = tensors.find(name);
    if (found == tensors.end())
      throw std::logic_error(std::string("compile: the case has no tensor ") + name);
    return found->second;
  }
  /// [N, heads · d] by sequences, tokens, heads.
  flex::View view(const char* name, std::int64_t heads) const {
    const long long token = heads * c.head_dim;
    return {at(name), c.packed ? 0 : c.length * token, token, static_cast<long long>(c.head_dim)};
  }
};

flex::ForwardArgs forward_args(const Places& p) {
  flex::ForwardArgs args;
  args.sequences = p.sequences, args.mask = p.mask;
  args.q = p.view("q", p.c.heads), args.o = p.view("o", p.c.heads);
  args.k = p.view("k", p.c.kv_heads), args.v = p.view("v", p.c.kv_heads);
  args.lse = static_cast<float*>(p.at("lse"));
  return args;
}

flex::BackwardArgs backward_args(const Places& p) {
  const flex::ForwardArgs forward = forward_args(p);
  flex::BackwardArgs args;
  args.sequences = p.sequences, args.mask = p.mask;
  args.q = forward.q, args.k = forward.k, args.v = forward.v, args.o = forward.o, args.lse = forward.lse;
  args.d_o = p.view("d_o", p.c.heads), args.d_q = p.view("dq", p.c.heads);
  args.d_k = p.view("dk", p.c.kv_heads), args.d_v = p.view("dv", p.c.kv_heads);
  args.workspace_bytes = flex::backward_workspace_bytes(args);
  args.workspace = p.workspace;
  return args;
}

std::size_t workspace_bytes(const Places& p) {
  return p.c.backward ? flex::backward_workspace_bytes(backward_args(p)) : 0;
}

void call(const flex::FlexAttention& attention, const Places& p, MaskMade made, harness::Stream stream) {
  if (made == MaskMade::kInEveryCall)
    attention.build_block_mask(p.sequences, p.mask, stream);
  if (p.c.backward)
    attention.backward(backward_args(p), stream);
  else
    attention.forward(forward_args(p), stream);
}

/// The case's buffer, if its mods read one.
const void* buffer_of(const TensorSet& inputs) {
  for (const char* name : {"softcap", "slopes", "window", "documents", "prefixes"}) {
    if (inputs.contains(name))
      return inputs.at(name).data;
  }
  return nullptr;
}

}  // namespace

flex::Mods flex_mods_of(const AttentionCase& c) {
  switch (c.mod) {
    case Mod::kNone:
      return flex::no_mods();
    case Mod::kCausal:
      return flex::causal();
    case Mod::kSoftcap:
      return c.dtype == harness::Dtype::kFloat16 ? flex::causal_softcap_exact() : flex::causal_softcap();
    case Mod::kAlibi:
      return flex::causal_alibi();
    case Mod::kSlidingWindow:
      return flex::sliding_window();
    case Mod::kDocument:
      return flex::document();
    case Mod::kPrefixLm:
      return flex::prefix_lm();
  }
  throw std::invalid_argument("compile: unknown mod");
}

flex::HeadType head_type_of(const AttentionCase& c) {
  if (c.dtype != harness::Dtype::kFloat16 && c.dtype != harness::Dtype::kBfloat16)
    throw std::invalid_argument("compile: expected an attention case of f16 or bf16");
  return {static_cast<int>(c.head_dim),
          c.dtype == harness::Dtype::kFloat16 ? flex::ElementType::kFloat16 : flex::ElementType::kBfloat16};
}

flex::Sequences flex_sequences_of(const AttentionCase& c, const TensorSet& inputs) {
  flex::Sequences s;
  s.sequences = static_cast<int>(lengths_of(c).size());
  s.q_heads = static_cast<int>(c.heads), s.kv_heads = static_cast<int>(c.kv_heads);
  s.q_length = s.k_length = static_cast<int>(c.length);
  s.scale = static_cast<float>(c.scale());
  if (c.packed) {
    s.q_starts = s.k_starts = inputs.at("starts").as<std::int32_t>();
    s.q_rows = s.k_rows = c.tokens;
  }
  s.buffers.data[0] = buffer_of(inputs);
  return s;
}

harness::Invocation prepare_flex(const flex::FlexAttention& attention, const AttentionCase& c,
                                 const TensorSet& inputs, const TensorSet& outputs, harness::CallStyle style,
                                 MaskMade made) {
  Places p{c, flex_sequences_of(c, inputs), {}, {}, nullptr};
  for (const TensorSet* set : {&inputs, &outputs})
    for (const TensorView& view : set->views()) p.tensors[view.name] = view.data;
  const auto device = inputs.device();
  const auto kept = std::make_shared<TensorSet>(device);
  const auto keep = [&](const char* name, std::size_t bytes) {
    return kept->add({name, harness::Dtype::kUint8, {static_cast<std::int64_t>(bytes)}}).data;
  };
  p.mask.bytes = flex::block_mask_bytes(flex_mods_of(c), p.sequences);
  p.mask.workspace = keep("mask", p.mask.bytes);
  attention.prepare();
  if (made == MaskMade::kOnce) {
    const harness::OwnedStream stream(device);
    attention.build_block_mask(p.sequences, p.mask, stream);
    stream.synchronize();
  }
  const std::size_t bytes = workspace_bytes(p);
  if (style == harness::CallStyle::kInto) {
    p.workspace = keep("workspace", bytes);
    return [attention, p, made, kept](harness::Stream stream) { call(attention, p, made, stream); };
  }
  std::map<std::string, std::size_t> sizes;
  for (const TensorView& view : outputs.views()) sizes[view.name] = view.bytes();
  return [attention, p, made, kept, sizes, bytes, device](harness::Stream stream) {
    std::vector<std::unique_ptr<harness::Scratch>> taken;
    const auto take = [&](std::size_t size) {
      taken.push_back(std::make_unique<harness::Scratch>(size, device, stream));
      return taken.back()->data();
    };
    Places fresh = p;
    for (const auto& [name, size] : sizes) fresh.tensors[name] = take(size);
    fresh.workspace = take(bytes);
    call(attention, fresh, made, stream);
  };
}

}  // namespace assay::suites::compile
