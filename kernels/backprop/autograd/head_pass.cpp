// SPDX-License-Identifier: Apache-2.0
#include "kernels/backprop/autograd/head_pass.hpp"

#include <ATen/ops/empty.h>
#include <ATen/ops/sum.h>
#include <ATen/ops/zeros.h>
#include <c10/util/Exception.h>

#include <utility>

#include "kernels/backprop/autograd/packed_weight.hpp"
#include "kernels/backprop/autograd/products.hpp"

namespace assay::kernels::backprop {
namespace {

void check_tensor(const at::Tensor& t, const char* name, at::IntArrayRef shape, const at::Tensor& hidden) {
  TORCH_CHECK_VALUE(t.sizes() == shape, "expected ", name, " of shape ", shape, ", found ", t.sizes());
  TORCH_CHECK_VALUE(t.device() == hidden.device(), "expected ", name, " on the device of the hidden states, ",
                    hidden.device(), ", found ", t.device());
}

void check_adapter(const LinearHead& head, std::int64_t vocab, const at::Tensor& hidden) {
  TORCH_CHECK_VALUE(head.lora_a.defined() == head.lora_b.defined(),
                    "expected both lora_a and lora_b or neither, found one of them");
  if (!head.lora_a.defined())
    return;
  TORCH_CHECK_VALUE(head.lora_a.dim() == 2, "expected lora_a of shape [rank, H], found ",
                    head.lora_a.sizes());
  const std::int64_t rank = head.lora_a.size(0);
  check_tensor(head.lora_a, "lora_a", {rank, hidden.size(1)}, hidden);
  check_tensor(head.lora_b, "lora_b", {vocab, rank}, hidden);
  for (const at::Tensor& t : {head.lora_a, head.lora_b})
    TORCH_CHECK_VALUE(t.is_floating_point(), "expected floating adapters, found ", t.scalar_type());
}

at::Tensor zeros_like_sum(const at::Tensor& t, bool wanted) {
  if (!wanted)
    return {};
  return at::zeros(t.sizes(), t.options().dtype(accumulation_type(t.scalar_type())));
}

}  // namespace

std::int64_t check_head(const at::Tensor& hidden, const LinearHead& head) {
  accumulation_type(hidden.scalar_type());  // refuses types without one
  TORCH_CHECK_VALUE(head.weight.defined() != head.packed.has_value(),
                    "expected a head with a weight or a packed weight, found ",
                    head.weight.defined() ? "both" : "neither");
  std::int64_t vocab = 0;
  if (head.packed) {
    vocab = head.packed->vocab;
    check_packed(*head.packed, hidden);
  } else {
    TORCH_CHECK_VALUE(head.weight.dim() == 2, "expected a weight of shape [V, H], found ",
                      head.weight.sizes());
    vocab = head.weight.size(0);
    check_tensor(head.weight, "weight", {vocab, hidden.size(1)}, hidden);
    TORCH_CHECK_VALUE(head.weight.scalar_type() == hidden.scalar_type(),
                      "expected weight and hidden states of one type, found ", head.weight.scalar_type(),
                      " and ", hidden.scalar_type(), "; cast one of them (autocast does not reach in here)");
  }
  if (head.bias.defined())
    check_tensor(head.bias, "bias", {vocab}, hidden);
  check_adapter(head, vocab, hidden);
  return vocab;
}

ReadyHead::ReadyHead(const LinearHead& head, at::ScalarType type)
    : weight(head.packed ? unpack(*head.packed, type) : head.weight), lora_scale(head.lora_scale) {
  if (head.bias.defined())
    bias = head.bias.to(accumulation_type(type));
  if (head.lora_a.defined()) {
    lora_a = head.lora_a.to(type);
    lora_b = head.lora_b.to(type);
  }
}

at::Tensor ReadyHead::low_rank(const at::Tensor& x) const {
  return product(x, lora_a.t()).mul_(lora_scale).to(weight.scalar_type());
}

at::Tensor ReadyHead::logits(const at::Tensor& x) const {
  at::Tensor out = product(x, weight.t());
  if (adapted())
    add_product(out, low_rank(x), lora_b.t());
  if (bias.defined())
    out.add_(bias);
  return out;
}

bool ReadyHead::can_round_logits() const {
  const bool narrow = weight.scalar_type() == at::kHalf || weight.scalar_type() == at::kBFloat16;
  return narrow && weight.is_cuda() && !bias.defined();
}

at::Tensor ReadyHead::rounded_logits(const at::Tensor& x) const {
  at::Tensor out = at::empty({x.size(0), weight.size(0)}, x.options());
  product_into(out, x, weight.t());
  return adapted() ? out.addmm_(low_rank(x), lora_b.t()) : out;
}

HeadGradients::HeadGradients(const ReadyHead& head, const Wanted& wanted)
    : head_(head),
      wanted_(wanted),
      bias_(zeros_like_sum(head.bias, wanted.bias)),
      lora_a_(zeros_like_sum(head.lora_a, wanted.lora_a)),
      lora_b_(zeros_like_sum(head.lora_b, wanted.lora_b)) {}

void HeadGradients::move_to(std::array<at::Tensor, kTensors>& sums) {
  sums[1] = weight_.defined() ? std::move(weight_) : zeros_like_sum(head_.weight, wanted_.weight);
  sums[2] = std::move(bias_);
  sums[3] = std::move(lora_a_);
  sums[4] = std::move(lora_b_);
}

void HeadGradients::add_low_rank(const at::Tensor& x, const at::Tensor& gradient) {
  if (wanted_.lora_b)
    add_product(lora_b_, gradient.t(), head_.low_rank(x));
  if (!wanted_.lora_a && !wanted_.hidden)
    return;
  inner_ = product(gradient, head_.lora_b).mul_(head_.lora_scale).to(head_.weight.scalar_type());
  if (wanted_.lora_a)
    add_product(lora_a_, inner_.t(), x);
}

void HeadGradients::add(const at::Tensor& x, const at::Tensor& gradient) {
  if (wanted_.bias)
    bias_.add_(at::sum(gradient, 0, false, bias_.scalar_type()));
  if (head_.adapted())
    add_low_rank(x, gradient);
}

void HeadGradients::add_to_weight(const at::Tensor& x, const at::Tensor& gradient) {
  if (!wanted_.weight)
    return;
  if (weight_.defined()) {
    add_product(weight_, gradient.t(), x);
  } else {
    weight_ = begin_sum(gradient.t(), x);
  }
}

bool HeadGradients::write_hidden_gradient(const at::Tensor& gradient, at::Tensor to) const {
  const bool narrow = to.scalar_type() == gradient.scalar_type();
  if (!gradient.is_cuda() || (inner_.defined() && narrow) ||
      (!narrow && to.scalar_type() != accumulation_type(gradient.scalar_type())))
    return false;
  product_into(to, gradient, head_.weight);
  if (inner_.defined())
    add_product(to, inner_, head_.lora_a);
  return true;
}

at::Tensor HeadGradients::hidden_gradient(const at::Tensor& gradient) const {
  at::Tensor out = product(gradient, head_.weight);
  if (inner_.defined())
    add_product(out, inner_, head_.lora_a);
  return out;
}

}  // namespace assay::kernels::backprop
