// SPDX-License-Identifier: Apache-2.0
// A list with everything decided that does not need a device: offsets, scratch, rows of a logits chunk, what
// attention and the loss are called with. `place` gives it memory, on a device or (tests) on the host.
#pragma once

#include <cstdint>
#include <string>

#include "kernels/compile/device/layout.hpp"
#include "kernels/compile/device/loss_scaling.hpp"
#include "kernels/compile/device/op_arguments.hpp"
#include "kernels/compile/device/optimizer_run.hpp"

namespace assay::kernels::compile {

struct PlanOptions {
  ComputeType compute = ComputeType::kBfloat16;
  std::int64_t longest_sequence = 0;  ///< capacity of one sequence, tokens; 0: all of the step's
  std::int64_t chunk_rows = 0;        ///< rows of logits at a time; 0: chunk_plan's choice
  LossScaling loss_scaling = {};      ///< with one the list has a result more, "loss_scaler" [4]
};

class StepPlan {
 public:
  /// Throws std::logic_error for a list that cannot be walked (plan_layout), std::invalid_argument for
  /// options out of range or a type or head size that attention does not have.
  StepPlan(Program program, const PlanOptions& options);

  const Program& program() const { return bound_.program; }
  const BoundProgram& bound() const { return bound_; }
  const StepLayout& layout() const { return layout_; }
  const OptimizerRun& optimizer() const { return optimizer_; }
  const attention::Mods& mods() const { return mods_; }
  attention::HeadType head_type() const;
  std::int64_t longest_sequence() const { return longest_; }
  std::int64_t chunk_rows() const { return chunk_rows_; }
  const PlanOptions& options() const { return options_; }

  /// `memory`: layout().bytes, aligned to 256.
  void place(std::byte* memory);
  /// A frozen buffer, dense or packed. Throws std::invalid_argument for another kind of buffer, null, or
  /// packed weights of another number or of one level (format.hpp's rules hold too). True where something
  /// else was bound before.
  bool bind(const std::string& name, const void* data);
  bool bind(const std::string& name, const nf4::PackedWeights& weights);
  /// Throws std::invalid_argument naming a frozen buffer that has no memory.
  void check_bound() const;

  /// Arguments with scratch filled in.
  MatmulArgs with_workspace(MatmulArgs args) const;
  attention::BlockMask block_mask() const;
  attention::Sequences sequences() const;
  attention::ForwardArgs attention_of(const Op& op) const;
  attention::BackwardArgs attention_backward_of(std::size_t op) const;
  SquareSum square_sum() const;
  AdamWArgs adamw() const;
  /// 1 / number of labels that count, on the device from kHeadLoss to the end of the step.
  float* loss_scale() const;
  /// The adapters' gradients from those of the (scaled) losses' sum to those of their mean.
  Scale gradient_scale() const;
  /// With a loss scaling only.
  bool scales_loss() const { return loss_scaler_ >= 0; }
  LossScaler* loss_scaler() const;
  BeginLossScaling begin_loss_scaling() const;
  EndLossScaling end_loss_scaling() const;
  /// The same kernel over memory that nobody reads.
  EndLossScaling end_loss_scaling_on_scratch() const;
  /// The same kernel over 64 elements at the beginning of the products' workspace, five arrays 256 bytes
  /// apart.
  AdamWArgs adamw_on_scratch() const;
  std::byte* scratch(std::size_t op) const { return memory_ + layout_.op_scratch[op]; }
  std::byte* workspace() const { return memory_ + layout_.step_scratch; }

 private:
  attention::Sequences sequences(const int* starts) const;
  attention::View view(const Operand& operand) const;
  std::size_t scratch_bytes(const Op& op) const;
  Buffer& frozen(const std::string& name, int& index);
  float* step_scalars() const;

  PlanOptions options_;
  BoundProgram bound_;
  OptimizerRun optimizer_;
  attention::Mods mods_;
  int first_attention_ = -1;  ///< an operation; they all have one shape
  int loss_scaler_ = -1;      ///< a buffer
  std::int64_t longest_ = 0, chunk_rows_ = 0;
  StepLayout layout_;
  std::byte* memory_ = nullptr;
};

/// Lets every Hopper algorithm of cuBLASLt in.
inline constexpr std::size_t kMatmulWorkspaceBytes = std::size_t{32} << 20;

}  // namespace assay::kernels::compile
