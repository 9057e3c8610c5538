// SPDX-License-Identifier: Apache-2.0
// One pass over the rows with a linear head: the head made ready once, logits of a chunk, gradients summed
// over chunks.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>

#include "kernels/backprop/autograd/linear_head.hpp"

namespace assay::kernels::backprop {

/// Throws c10::Error unless shapes, types and devices fit hidden states [N, H]; returns the vocabulary's
/// size.
std::int64_t check_head(const at::Tensor& hidden, const LinearHead& head);

/// The head in the form that products take: weight in the type of the hidden states (4-bit ones decoded,
/// once), the adapters cast to it.
struct ReadyHead {
  at::Tensor weight;          ///< [V, H]
  at::Tensor bias;            ///< [V] f32 / f64, or undefined
  at::Tensor lora_a, lora_b;  ///< in the weight's type, or undefined
  double lora_scale = 1.0;

  ReadyHead(const LinearHead& head, at::ScalarType type);
  bool adapted() const { return lora_a.defined(); }
  /// lora_scale · x·lora_aᵀ [R, rank] in the weight's type; only where adapted().
  at::Tensor low_rank(const at::Tensor& x) const;
  /// Logits of rows x [R, H]: f32 (f64 for f64), rounded nowhere on the way.
  at::Tensor logits(const at::Tensor& x) const;
  /// Logits rounded to the weight's 16 bits, as a plain layer gives them: half the memory and traffic. Only
  /// on a GPU and without a bias.
  bool can_round_logits() const;
  at::Tensor rounded_logits(const at::Tensor& x) const;
};

/// The tensors that are differentiated, in this order wherever they travel together.
inline constexpr std::size_t kTensors = 5;  // hidden, weight, bias, lora_a, lora_b

/// Which gradients the caller wants.
struct Wanted {
  bool hidden = false, weight = false, bias = false, lora_a = false, lora_b = false;
  bool any() const { return hidden || weight || bias || lora_a || lora_b; }
};

/// Sums over chunks, all in f32 (f64), zero at first; undefined where not wanted. Gradients of logits come in
/// the type of the hidden states, rounded once, as the plain layer rounds them.
class HeadGradients {
 public:
  HeadGradients(const ReadyHead& head, const Wanted& wanted);
  /// Adds what rows give to bias and adapters: x [R, H], gradient [R, V] of their logits. One or more chunks.
  void add(const at::Tensor& x, const at::Tensor& gradient);
  /// Adds what they give to the weight.
  void add_to_weight(const at::Tensor& x, const at::Tensor& gradient);
  /// dX of the rows after add(), [R, H] in f32 (f64).
  at::Tensor hidden_gradient(const at::Tensor& gradient) const;
  /// The same written by the product itself into `to` [R, H], rounded once where `to` is of the gradient's 16
  /// bits; false, and nothing done, where that is impossible: on a CPU, and into 16 bits with adapters.
  bool write_hidden_gradient(const at::Tensor& gradient, at::Tensor to) const;
  /// Hands the sums over, each at its place; that of the hidden states is left alone.
  void move_to(std::array<at::Tensor, kTensors>& sums);

 private:
  void add_low_rank(const at::Tensor& x, const at::Tensor& gradient);

  const ReadyHead& head_;
  Wanted wanted_;
  at::Tensor weight_;  ///< undefined until the first part comes: that one is written, not added to zeros
  at::Tensor bias_, lora_a_, lora_b_;
  at::Tensor inner_;  ///< of the last rows added: gradient · lora_b · scale [R, rank]
};

}  // namespace assay::kernels::backprop
