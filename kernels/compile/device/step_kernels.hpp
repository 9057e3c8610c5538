// SPDX-License-Identifier: Apache-2.0
// The kernels a step calls, as one interface: the walk over the list (walk.hpp) is the same whether they are
// launched on a stream or, in tests, computed on the host. Contracts are those of the functions of the same
// name; everything happens in the order of the calls.
#pragma once

#include <cstdint>

#include "kernels/attention/attention.hpp"
#include "kernels/backprop/softmax_pass.hpp"
#include "kernels/common/matmul.hpp"
#include "kernels/compile/adamw.hpp"
#include "kernels/compile/device/loss_scaling.hpp"
#include "kernels/compile/device/small_kernels.hpp"
#include "kernels/llama/rms_norm.hpp"
#include "kernels/llama/rope.hpp"
#include "kernels/llama/swiglu.hpp"
#include "kernels/nf4/dequantize.hpp"

namespace assay::kernels::compile {

struct SquareSum {
  const float* values = nullptr;
  std::int64_t count = 0;
  void* workspace = nullptr;  ///< square_sum_workspace_bytes()
  float* sum = nullptr;
};

class StepKernels {
 public:
  virtual ~StepKernels() = default;

  virtual void matmul(const MatmulArgs& args) = 0;
  virtual void dequantize(const nf4::DequantizeArgs& args) = 0;
  virtual void embed(const Embed& args) = 0;
  virtual void rms_norm(const llama::RmsNormForward& args) = 0;
  virtual void rms_norm_backward(const llama::RmsNormBackward& args) = 0;
  virtual void rope(const llama::Rope& args) = 0;
  virtual void swiglu(const llama::SwigluForward& args) = 0;
  virtual void swiglu_backward(const llama::SwigluBackward& args) = 0;
  virtual void build_block_mask(const attention::Sequences& sequences, const attention::BlockMask& mask) = 0;
  virtual void attention_forward(const attention::ForwardArgs& args) = 0;
  virtual void attention_backward(const attention::BackwardArgs& args) = 0;
  virtual void clear_rows(const ClearRows& args) = 0;
  virtual void find_loss_scale(const LossScale& args) = 0;
  virtual void cross_entropy_pass(const backprop::CrossEntropyPass& pass) = 0;
  virtual void scale(const Scale& args) = 0;
  virtual void mean_loss(const MeanLoss& args) = 0;
  virtual void square_sum(const SquareSum& args) = 0;
  virtual void begin_loss_scaling(const BeginLossScaling& args) = 0;
  virtual void end_loss_scaling(const EndLossScaling& args) = 0;
  virtual void adamw(const AdamWArgs& args) = 0;
};

}  // namespace assay::kernels::compile
