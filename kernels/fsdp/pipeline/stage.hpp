// SPDX-License-Identifier: Apache-2.0
// What a model gives the pipeline: one stage on one rank.
#pragma once

#include <ATen/core/Tensor.h>

namespace assay::kernels::fsdp {

/// Calls come in the order of a checked schedule: forward, perhaps recompute, backward_input,
/// backward_weight, each once a microbatch, those of several microbatches mixed.
class PipelineStage {
 public:
  virtual ~PipelineStage() = default;

  /// `input` is undefined on the first stage (the stage knows its tokens); what is returned goes to the next
  /// stage, undefined on the last one (the stage keeps its loss). Where the schedule recomputes, only the
  /// input need be kept.
  virtual at::Tensor forward(int microbatch, const at::Tensor& input) = 0;
  virtual void recompute(int microbatch) = 0;
  /// `output_gradient` is undefined on the last stage. Returns the gradient of the input, undefined on the
  /// first.
  virtual at::Tensor backward_input(int microbatch, const at::Tensor& output_gradient) = 0;
  /// Adds the microbatch's weight gradients; its activations may go.
  virtual void backward_weight(int microbatch) = 0;

  /// A contiguous tensor to receive into, of the size and type of the stage's input, or of its output's
  /// gradient.
  virtual at::Tensor new_input(int microbatch) const = 0;
  virtual at::Tensor new_output_gradient(int microbatch) const = 0;
};

}  // namespace assay::kernels::fsdp
