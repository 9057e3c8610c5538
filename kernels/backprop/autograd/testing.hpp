// SPDX-License-Identifier: Apache-2.0
// Random layers and the plain computation they are compared with; for the tests of this room.
#pragma once

#include <ATen/Context.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <torch/csrc/autograd/autograd.h>

#include <string>
#include <vector>

#include "kernels/backprop/autograd/memory_efficient_linear.hpp"

namespace assay::kernels::backprop::testing {

using at::Tensor;

struct Layer {
  Tensor hidden, labels;
  LinearHead head;

  /// hidden [rows, width], weight [vocab, width], bias, a rank-3 adapter; all want gradients.
  Layer(std::int64_t rows, std::int64_t width, std::int64_t vocab, at::ScalarType type,
        at::Device device = at::kCPU, std::uint64_t seed = 1) {
    at::manual_seed(seed);
    const auto random = [&](at::IntArrayRef shape, double spread) {
      return at::randn(shape, at::kDouble).mul(spread).to(device, type).requires_grad_(true);
    };
    hidden = random({rows, width}, 1.0);
    head.weight = random({vocab, width}, 0.3);
    head.bias = random({vocab}, 0.5);
    head.lora_a = random({3, width}, 0.3);
    head.lora_b = random({vocab, 3}, 0.3);
    head.lora_scale = 2.0;
    labels = at::randint(vocab, {rows}, at::kLong).to(device);
  }

  std::vector<Tensor> tensors() const { return {hidden, head.weight, head.bias, head.lora_a, head.lora_b}; }

  /// The same values in `type`, as leaves of their own.
  Layer to(at::ScalarType type) const {
    Layer out = *this;
    for (Tensor* t : {&out.hidden, &out.head.weight, &out.head.bias, &out.head.lora_a, &out.head.lora_b})
      *t = t->detach().to(type).requires_grad_(true);
    return out;
  }

  /// Plain logits in the layer's own type.
  Tensor logits() const {
    return hidden.mm(head.weight.t())
        .add(head.bias)
        .add(hidden.mm(head.lora_a.t()).mm(head.lora_b.t()), head.lora_scale);
  }
};

inline std::vector<Tensor> gradients(const Tensor& loss, const std::vector<Tensor>& of, double upstream) {
  return ::torch::autograd::grad({loss}, of, {at::full_like(loss, upstream)});
}

inline double relative_error(const Tensor& found, const Tensor& truth) {
  const Tensor f = found.detach().to(at::kCPU, at::kDouble), t = truth.detach().to(at::kCPU, at::kDouble);
  return f.sub(t).norm().item<double>() / std::max(t.norm().item<double>(), 1e-300);
}

inline Tensor row_cross_entropy(const Chunk& chunk) {
  return at::cross_entropy_loss(chunk.logits, chunk.rows[0], std::nullopt, at::Reduction::None);
}

inline Tensor plain_cross_entropy(const Layer& layer) {
  return at::cross_entropy_loss(layer.logits(), layer.labels);
}

}  // namespace assay::kernels::backprop::testing
