// SPDX-License-Identifier: Apache-2.0
// The step's kernels computed on the host from the very arguments a GPU gets: plain loops, or the CPU
// versions of the kernels where there are some. Holds the walk over the list against the eager run without a
// GPU.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/compile/device/step_kernels.hpp"
#include "kernels/compile/device/types.hpp"

namespace assay::testing {

/// f16 and bf16. Throws std::logic_error where a call comes in an order that would be wrong on a GPU:
/// attention before the block mask of its boundaries.
class HostKernels : public kernels::compile::StepKernels {
 public:
  void matmul(const kernels::MatmulArgs& args) override;
  void dequantize(const kernels::nf4::DequantizeArgs& args) override;
  void embed(const kernels::compile::Embed& args) override;
  void rms_norm(const kernels::llama::RmsNormForward& args) override;
  void rms_norm_backward(const kernels::llama::RmsNormBackward& args) override;
  void rope(const kernels::llama::Rope& args) override;
  void swiglu(const kernels::llama::SwigluForward& args) override;
  void swiglu_backward(const kernels::llama::SwigluBackward& args) override;
  void build_block_mask(const kernels::attention::Sequences& sequences,
                        const kernels::attention::BlockMask& mask) override;
  void attention_forward(const kernels::attention::ForwardArgs& args) override;
  void attention_backward(const kernels::attention::BackwardArgs& args) override;
  void clear_rows(const kernels::compile::ClearRows& args) override;
  void find_loss_scale(const kernels::compile::LossScale& args) override;
  void cross_entropy_pass(const kernels::backprop::CrossEntropyPass& pass) override;
  void scale(const kernels::compile::Scale& args) override;
  void mean_loss(const kernels::compile::MeanLoss& args) override;
  void square_sum(const kernels::compile::SquareSum& args) override;
  void begin_loss_scaling(const kernels::compile::BeginLossScaling& args) override;
  void end_loss_scaling(const kernels::compile::EndLossScaling& args) override;
  void adamw(const kernels::compile::AdamWArgs& args) override;

  explicit HostKernels(kernels::compile::ComputeType type) : type_(type) {}

 private:
  void check_mask(const kernels::attention::Sequences& sequences,
                  const kernels::attention::BlockMask& mask) const;

  kernels::compile::ComputeType type_;
  std::vector<std::int32_t> masked_starts_;  ///< the block mask's
  const void* mask_ = nullptr;
};

}  // namespace assay::testing
