// SPDX-License-Identifier: Apache-2.0
#include "suites/compile/pointwise/kernel_adapter.hpp"

#include <memory>
#include <stdexcept>
#include <vector>

#include "harness/memory/memory.hpp"

namespace assay::suites::compile {
namespace {

namespace ours = kernels::llama;
using harness::Dtype;

ours::ElementType element_type(Dtype dtype) {
  switch (dtype) {
    case Dtype::kFloat16:
      return ours::ElementType::kFloat16;
    case Dtype::kBfloat16:
      return ours::ElementType::kBfloat16;
    case Dtype::kFloat32:
      return ours::ElementType::kFloat32;
    default:
      throw std::invalid_argument("compile: expected a case of f16, bf16 or f32");
  }
}

/// Null where the case has no such tensor.
void* get(const Pointers& pointers, const char* name) {
  const auto found = pointers.find(name);
  return found == pointers.end() ? nullptr : found->second;
}

ours::RmsNormForward norm(const PointwiseCase& c, const Pointers& p) {
  return {.type = element_type(c.dtype),
          .rows = c.tokens,
          .hidden = c.width,
          .x = {get(p, "x")},
          .residual = {get(p, "residual")},
          .weight = get(p, "weight"),
          .eps = static_cast<float>(kEps),
          .sum = {get(p, "sum")},
          .y = {get(p, "y")},
          .rstd = static_cast<float*>(get(p, "rstd"))};
}

ours::RmsNormBackward norm_backward(const PointwiseCase& c, const Pointers& p) {
  return {.type = element_type(c.dtype),
          .rows = c.tokens,
          .hidden = c.width,
          .h = {get(p, "h")},
          .weight = get(p, "weight"),
          .rstd = static_cast<const float*>(get(p, "rstd")),
          .dy = {get(p, "dy")},
          .dsum = {get(p, "dsum")},
          .dh = {get(p, "dh")},
          .dw = get(p, "dw")};
}

ours::Rope rope(const PointwiseCase& c, const Pointers& p) {
  const auto tensor = [&](const char* in, const char* out, std::int64_t heads) {
    const auto strides = ours::token_major(c.tokens, heads, c.head_dim);
    return ours::RopeTensor{get(p, in), get(p, out), heads, strides, strides};
  };
  return {.type = element_type(c.dtype),
          .batches = 1,
          .length = c.tokens,
          .head_dim = c.head_dim,
          .q = tensor("q", "q_out", c.heads),
          .k = tensor("k", "k_out", c.kv_heads),
          .inverse_frequency = static_cast<const float*>(get(p, "inverse_frequency")),
          .positions = get(p, "positions"),
          .position_type = ours::PositionType::kInt64,
          .backward = c.backward};
}

/// First and second half of [N, 2 · I], or two matrices.
struct Halves {
  ours::OutputRows first, second;
};
Halves halves(const PointwiseCase& c, const Pointers& p, const char* both, const char* first,
              const char* second) {
  if (!c.halves)
    return {{get(p, first), c.width}, {get(p, second), c.width}};
  auto* const start = static_cast<std::byte*>(get(p, both));
  return {{start, 2 * c.width}, {start + c.width * static_cast<std::int64_t>(size_of(c.dtype)), 2 * c.width}};
}
ours::InputRows as_input(const ours::OutputRows& rows) {
  return {rows.data, rows.stride};
}

ours::SwigluForward swiglu(const PointwiseCase& c, const Pointers& p) {
  const auto [gate, up] = halves(c, p, "gate_up", "gate", "up");
  return {element_type(c.dtype), c.tokens, c.width, as_input(gate), as_input(up), {get(p, "y")}};
}

ours::SwigluBackward swiglu_backward(const PointwiseCase& c, const Pointers& p) {
  const auto [gate, up] = halves(c, p, "gate_up", "gate", "up");
  const auto [dgate, dup] = halves(c, p, "dgate_up", "dgate", "dup");
  return {.type = element_type(c.dtype),
          .rows = c.tokens,
          .columns = c.width,
          .gate = as_input(gate),
          .up = as_input(up),
          .dy = {get(p, "dy")},
          .dgate = dgate,
          .dup = dup,
          .y = {get(p, "y")}};
}

std::int64_t workspace_bytes(const PointwiseCase& c, const Pointers& p) {
  return c.piece == Piece::kRmsNorm && c.backward ? ours::rms_norm_workspace_bytes(norm_backward(c, p)) : 0;
}

void call(const PointwiseKernels& kernels, const PointwiseCase& c, const Pointers& p, void* workspace,
          harness::Stream stream) {
  if (c.piece == Piece::kRope)
    return kernels.rope(rope(c, p), stream);
  if (c.piece == Piece::kSwiglu)
    return c.backward ? kernels.swiglu_backward(swiglu_backward(c, p), stream)
                      : kernels.swiglu(swiglu(c, p), stream);
  if (!c.backward)
    return kernels.rms_norm(norm(c, p), stream);
  ours::RmsNormBackward args = norm_backward(c, p);
  args.workspace = workspace;
  kernels.rms_norm_backward(args, stream);
}

}  // namespace

harness::Invocation prepare_kernels(const harness::Case& which, const harness::TensorSet& inputs,
                                    harness::TensorSet& outputs, harness::CallStyle style,
                                    const PointwiseKernels& kernels) {
  const PointwiseCase c = parameters_of(which);
  Pointers pointers;
  for (const harness::TensorView& view : inputs.views()) pointers[view.name] = view.data;
  for (const harness::TensorView& view : outputs.views()) pointers[view.name] = view.data;
  const auto bytes = workspace_bytes(c, pointers);
  const auto device = inputs.device();
  if (style == harness::CallStyle::kInto) {
    const auto workspace = std::make_shared<harness::TensorSet>(device);
    void* const data = workspace->add({"workspace", Dtype::kUint8, {bytes}}).data;
    return [=](harness::Stream stream) {
      call(kernels, c, pointers, data, stream);
      static_cast<void>(workspace);
    };
  }
  std::map<std::string, std::size_t> sizes;
  for (const harness::TensorView& view : outputs.views()) sizes[view.name] = view.bytes();
  return [=](harness::Stream stream) {
    std::vector<std::unique_ptr<harness::Scratch>> taken;
    const auto take = [&](std::size_t size) {
      taken.push_back(std::make_unique<harness::Scratch>(size, device, stream));
      return taken.back()->data();
    };
    Pointers fresh = pointers;
    for (const auto& [name, size] : sizes) fresh[name] = take(size);
    call(kernels, c, fresh, take(static_cast<std::size_t>(bytes)), stream);
  };
}

}  // namespace assay::suites::compile
