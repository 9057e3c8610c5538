// SPDX-License-Identifier: Apache-2.0
// Some layers of the plain QLoRA Llama as a stage of a pipeline: a microbatch is one sequence of the training
// problem.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <vector>

#include "kernels/fsdp/pipeline/stage.hpp"
#include "tests/compile/step_problem.hpp"

namespace assay::testing {

class LlamaStage : public kernels::fsdp::PipelineStage {
 public:
  /// Stage `stage` of `stages` of the problem's layers, cut evenly; the first has the embedding, the last
  /// norm, head and loss. Weight gradients are added to the adapters' .grad.
  LlamaStage(Problem& problem, int stage, int stages);

  at::Tensor forward(int microbatch, const at::Tensor& input) override;
  void recompute(int microbatch) override;
  at::Tensor backward_input(int microbatch, const at::Tensor& output_gradient) override;
  void backward_weight(int microbatch) override;
  at::Tensor new_input(int microbatch) const override;
  at::Tensor new_output_gradient(int microbatch) const override { return new_input(microbatch); }

  const std::vector<at::Tensor>& adapters() const { return adapters_; }
  /// Of the microbatches since the last call: their share of the whole batch's mean.
  double take_loss();

 private:
  struct Held {
    at::Tensor input, output, gradient;
  };
  at::Tensor compute(int microbatch, const at::Tensor& input) const;
  at::Tensor of_sequence(const at::Tensor& whole, int microbatch) const;
  std::vector<at::Tensor> gradients(const Held& held, const std::vector<at::Tensor>& of) const;

  Problem& problem_;
  std::size_t begin_, end_;
  bool first_, last_;
  std::vector<at::Tensor> adapters_;
  std::map<int, Held> held_;
  double loss_ = 0;
};

}  // namespace assay::testing
