// SPDX-License-Identifier: Apache-2.0
#include "kernels/compile/device/walk.hpp"

#include <stdexcept>
#include <string>

#include "kernels/compile/device/head_loss.hpp"

namespace assay::kernels::compile {
namespace {

class Walk {
 public:
  Walk(const StepPlan& plan, StepKernels& kernels) : plan_(plan), bound_(plan.bound()), kernels_(kernels) {}

  void run(std::size_t index) {
    const Op& op = bound_.program.ops[index];
    switch (op.kind) {
      case OpKind::kEmbed:
        return kernels_.embed(embed_of(bound_, op));
      case OpKind::kRmsNorm:
      case OpKind::kAddRmsNorm:
        return kernels_.rms_norm(rms_norm_of(bound_, op));
      case OpKind::kDecode:
        return kernels_.dequantize(dequantize_of(bound_, op));
      case OpKind::kMatmul:
        return kernels_.matmul(plan_.with_workspace(matmul_of(bound_, op)));
      case OpKind::kRope:
        return kernels_.rope(rope_of(bound_, op));
      case OpKind::kAttention:
        return attention(op);
      case OpKind::kSwiglu:
        return kernels_.swiglu(swiglu_of(bound_, op));
      case OpKind::kHeadLoss:
        return head_loss(plan_, index, kernels_);
      case OpKind::kRmsNormBackward:
        return kernels_.rms_norm_backward(rms_norm_backward_of(bound_, op));
      case OpKind::kSwigluBackward:
        return kernels_.swiglu_backward(swiglu_backward_of(bound_, op));
      case OpKind::kAttentionBackward:
        kernels_.attention_backward(plan_.attention_backward_of(index));
        return clear(op.in[6], {op.out[0], op.out[1], op.out[2]});
      case OpKind::kSquareSum:
        kernels_.scale(plan_.gradient_scale());
        return kernels_.square_sum(plan_.square_sum());
      case OpKind::kAdamW:
        if (plan_.scales_loss())
          kernels_.end_loss_scaling(plan_.end_loss_scaling());
        return kernels_.adamw(plan_.adamw());
    }
    throw std::logic_error("device step: unknown operation " + std::to_string(static_cast<int>(op.kind)));
  }

 private:
  void attention(const Op& op) {
    if (!mask_is_built_)
      kernels_.build_block_mask(plan_.sequences(), plan_.block_mask());
    mask_is_built_ = true;
    kernels_.attention_forward(plan_.attention_of(op));
    clear(op.in[3], {op.out[0]});
  }

  void clear(const Operand& boundaries, std::initializer_list<Operand> matrices) {
    ClearRows args;
    args.used = bound_.at<std::int32_t>(boundaries) + bound_.buffer(boundaries).rows - 1;
    int i = 0;
    for (const Operand& matrix : matrices) {
      args.rows = bound_.buffer(matrix).rows;
      args.matrices[i++] = {bound_.address(matrix), bound_.buffer(matrix).columns};
    }
    kernels_.clear_rows(args);
  }

  const StepPlan& plan_;
  const BoundProgram& bound_;
  StepKernels& kernels_;
  bool mask_is_built_ = false;
};

/// Of the optimizer's operations, the first stands for all.
bool stands_for_others(const OptimizerRun& run, std::size_t index) {
  const auto inside = [&](std::size_t first) { return index > first && index < first + run.count; };
  return !inside(run.square_sums) && !inside(run.adamws);
}

}  // namespace

void walk(const StepPlan& plan, StepKernels& kernels, WalkPart part, WalkObserver* observer) {
  Walk walk(plan, kernels);
  const std::vector<Op>& ops = plan.program().ops;
  for (std::size_t i = 0; i < ops.size(); ++i) {
    if (!stands_for_others(plan.optimizer(), i) ||
        (part == WalkPart::kWithoutAdamW && ops[i].kind == OpKind::kAdamW))
      continue;
    if (observer != nullptr)
      observer->begin(i);
    walk.run(i);
    if (observer != nullptr)
      observer->end(i);
  }
}

}  // namespace assay::kernels::compile
