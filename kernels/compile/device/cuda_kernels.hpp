// SPDX-License-Identifier: Apache-2.0
// The step's kernels on one stream.
#pragma once

#include <cuda_runtime_api.h>

#include "kernels/compile/device/step_kernels.hpp"

namespace assay::kernels::compile {

/// Enqueues every call on `stream`, which must outlive it.
class CudaKernels final : public StepKernels {
 public:
  CudaKernels(attention::FlexAttention attention, cudaStream_t stream)
      : attention_(std::move(attention)), stream_(stream) {}

  /// From now on products that add are made as if they only wrote, since only those are searched: for walks
  /// whose results nobody reads. Winners serve both.
  void search_all(bool yes) { searches_all_ = yes; }

  void matmul(const MatmulArgs& args) override {
    MatmulArgs g = args;
    if (searches_all_)
      g.beta = 0.0f;
    kernels::matmul(g, stream_);
  }
  void dequantize(const nf4::DequantizeArgs& args) override { nf4::dequantize(args, stream_); }
  void embed(const Embed& args) override { compile::embed(args, stream_); }
  void rms_norm(const llama::RmsNormForward& args) override { llama::rms_norm(args, stream_); }
  void rms_norm_backward(const llama::RmsNormBackward& args) override {
    llama::rms_norm_backward(args, stream_);
  }
  void rope(const llama::Rope& args) override { llama::rope(args, stream_); }
  void swiglu(const llama::SwigluForward& args) override { llama::swiglu(args, stream_); }
  void swiglu_backward(const llama::SwigluBackward& args) override { llama::swiglu_backward(args, stream_); }
  void build_block_mask(const attention::Sequences& sequences, const attention::BlockMask& mask) override {
    attention_.build_block_mask(sequences, mask, stream_);
  }
  void attention_forward(const attention::ForwardArgs& args) override { attention_.forward(args, stream_); }
  void attention_backward(const attention::BackwardArgs& args) override {
    attention_.backward(args, stream_);
  }
  void clear_rows(const ClearRows& args) override { compile::clear_rows(args, stream_); }
  void find_loss_scale(const LossScale& args) override { compile::find_loss_scale(args, stream_); }
  void cross_entropy_pass(const backprop::CrossEntropyPass& pass) override {
    backprop::cross_entropy_pass(pass, stream_);
  }
  void scale(const Scale& args) override { compile::scale(args, stream_); }
  void mean_loss(const MeanLoss& args) override { compile::mean_loss(args, stream_); }
  void square_sum(const SquareSum& args) override {
    compile::square_sum(args.values, args.count, args.workspace, args.sum, stream_);
  }
  void begin_loss_scaling(const BeginLossScaling& args) override {
    compile::begin_loss_scaling(args, stream_);
  }
  void end_loss_scaling(const EndLossScaling& args) override { compile::end_loss_scaling(args, stream_); }
  void adamw(const AdamWArgs& args) override { compile::adamw(args, stream_); }

 private:
  attention::FlexAttention attention_;
  cudaStream_t stream_;
  bool searches_all_ = false;
};

}  // namespace assay::kernels::compile
