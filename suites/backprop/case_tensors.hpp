// SPDX-License-Identifier: Apache-2.0
// A case's inputs as tensors, and what every implementation does with them: the loss, then autograd's
// gradients.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "reference/backprop/eager/losses.hpp"
#include "suites/backprop/suite.hpp"

namespace assay::suites::backprop {

/// Undefined where the case has no such input. They alias the memory of the set they were made from.
struct CaseTensors {
  at::Tensor hidden, weight, bias, lora_a, lora_b;
  at::Tensor packed, absmax, code;  ///< in place of weight
  std::int64_t vocab = 0;
  at::Tensor upstream, labels, targets, class_weight, teacher_hidden, teacher_weight;
  at::Tensor tokens, mask, advantages, old_logp, reference_logp, desirable, kl;

  /// Those that get a gradient, in the order of outputs_of(): hidden, weight, bias, lora_a, lora_b.
  std::vector<at::Tensor> differentiated(const BackpropCase& c) const;
};

at::Tensor as_tensor(const harness::TensorView& view);
CaseTensors tensors_of(const BackpropCase& c, const harness::TensorSet& inputs);
/// Every floating tensor as f64, in memory of its own.
CaseTensors in_f64(const CaseTensors& tensors);

/// Differentiable: f32 scalar, [N, 3] of token_logprob.
using LossFunction = std::function<at::Tensor(const BackpropCase& c, const CaseTensors& tensors)>;

/// Loss and gradients of upstream · loss, in the order of outputs_of(). The given tensors stay without
/// gradient.
std::vector<at::Tensor> loss_and_gradients(const BackpropCase& c, CaseTensors tensors,
                                           const LossFunction& loss);

/// The plain version of every loss, on full logits.
at::Tensor naive_loss(const BackpropCase& c, const CaseTensors& tensors);
/// A 4-bit weight is decoded to `type`; without one to that of the hidden states.
reference::backprop::eager::Head eager_head(const CaseTensors& tensors,
                                            std::optional<at::ScalarType> type = {});

}  // namespace assay::suites::backprop
