// SPDX-License-Identifier: Apache-2.0
// Fine-tuning a Llama for some AdamW steps, with the last linear layer and its loss given from outside.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <string>
#include <vector>

#include "reference/llama/linear.hpp"
#include "reference/llama/model.hpp"

namespace assay::suites::backprop {

enum class Trained {
  kAdapters,  ///< LoRA on all seven linears; everything else, the head too, is frozen
  kHead,      ///< the head (with tied embeddings: them as well); everything else is frozen
};

struct TrainingPlan {
  Trained trained = Trained::kAdapters;
  at::Tensor tokens;                    ///< int64 [n], the text
  std::int64_t batch = 4, length = 61;  ///< rows a step = batch · length; better no power of two, so that
                                        ///< division by it rounds
  std::int64_t steps = 60, lora_rank = 8;
  double learning_rate = 1e-3, weight_decay = 0.01;
  std::uint64_t seed = 3407;
};

/// Cross entropy of states [N, H] through `head` for labels [N]: the mean, or the sum where the run says so.
using HeadLoss = std::function<at::Tensor(const at::Tensor& states, const reference::llama::Linear& head,
                                          const at::Tensor& labels)>;

struct TrainingRun {
  HeadLoss loss;
  bool batch_reversed = false;  ///< the same sequences in the opposite order
  bool is_sum = false;          ///< loss and gradients are divided by the number of rows afterwards
};

struct TrainingTrace {
  std::vector<double> losses, gradient_norms;                              ///< a step
  std::vector<reference::llama::NamedTensor> first_gradients, start, end;  ///< f32, of the trained tensors
};

/// Trains a copy of what it trains; `base` stays as it is. Adapters and batches depend on
/// the plan alone. Parameters of 16 bits have an f32 master copy. A
/// parameter that gets no gradient has the gradient 0.
TrainingTrace train(const TrainingPlan& plan, const reference::llama::Llama& base, const TrainingRun& run);

}  // namespace assay::suites::backprop
