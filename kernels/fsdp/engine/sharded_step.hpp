// SPDX-License-Identifier: Apache-2.0
// A QLoRA step over several ranks: every rank runs forward and backward on tokens of its own, with a base
// that is gathered layer by layer and adapters that are sharded. The loss is that of one device with all
// ranks' tokens: the sum over all labels that count, divided by their number over all ranks (not the mean of
// the ranks' means).
#pragma once

#include <optional>

#include "kernels/compile/eager/eager_step.hpp"
#include "kernels/compile/step_program.hpp"
#include "kernels/fsdp/engine/loss_scaler.hpp"
#include "kernels/fsdp/engine/sharded_adapters.hpp"
#include "kernels/fsdp/engine/sharded_base.hpp"
#include "kernels/fsdp/engine/sharded_vocabulary.hpp"

namespace assay::kernels::fsdp {

/// `reduce` is all ranks; `gather` those over which this rank's base is sharded, a group of its own so that
/// gathers need not wait for reductions: all ranks (fully sharded), some (hybrid: each such group has a whole
/// base), or this one alone (replicated).
struct RankGroups {
  c10::intrusive_ptr<c10d::Backend> gather, reduce;
};

struct ShardOptions {
  BaseOptions base = {};
  std::optional<LossScaler> loss_scaler = {};  ///< for f16; needs a sharded vocabulary
  bool shard_vocabulary = true;  ///< embedding and head by vocabulary; otherwise whole on every rank
  at::Device device = at::kCPU;  ///< of everything; a GPU's groups are NCCL's
};

struct StepResult {
  double loss = 0;           ///< of all ranks' tokens
  std::int64_t labels = 0;   ///< that count, of all ranks
  double gradient_norm = 0;  ///< of all adapters, before clipping
  bool skipped =
      false;  ///< gradients were not finite on some rank, so no rank moved: the step does not count
};

class ShardedStep {
 public:
  /// `options`: this rank's tokens; packed_base must be set. `compute`: f16, bf16 or f32. What is whole on
  /// every rank (tokens, labels, positions, boundaries, norms) is bound as EagerStep says; what is sharded is
  /// loaded (from the CPU).
  ShardedStep(const compile::StepOptions& options, at::ScalarType compute, const RankGroups& groups,
              const ShardOptions& shard = {});
  ShardedStep(const ShardedStep&) = delete;
  ShardedStep& operator=(const ShardedStep&) = delete;

  void bind(const std::string& name, const at::Tensor& tensor) { step_.bind(name, tensor); }
  void load(const std::string& name, const nf4::PackedWeights& whole) { base_.load(name, whole); }
  /// A whole adapter, f32; or embed_tokens or lm_head in the compute type, which are bound where they are not
  /// sharded.
  void load(const std::string& name, const at::Tensor& whole);

  /// Forward and backward of a microbatch that is not the step's last: its gradients wait, nothing of the
  /// adapters is sent.
  void accumulate();

  /// The step's last (or only) microbatch, and the update. `settings` [4] f32 as program.hpp says. Throws
  /// c10::DistBackendError where a rank fails, and std::invalid_argument where no label of any rank counts.
  /// Beside the base's gathers: one all-gather, two all-reduces, one reduce-scatter; with a sharded
  /// vocabulary three, two and two more.
  StepResult run(const at::Tensor& settings);

  /// As it stands, to be saved with a checkpoint's state and set again; the same on every rank.
  std::optional<LossScaler>& loss_scaler() { return loss_scaler_; }
  ShardedBase& base() { return base_; }
  ShardedAdapters& adapters() { return adapters_; }
  const std::optional<ShardedVocabulary>& vocabulary() const { return vocabulary_; }

 private:
  c10::intrusive_ptr<c10d::Backend> reduce_;
  ShardedBase base_;
  void take_over(const compile::Program& program);
  double pass();
  double scale() const { return loss_scaler_ ? loss_scaler_->scale : 1.0; }

  ShardedAdapters adapters_;
  std::optional<ShardedVocabulary> vocabulary_;
  std::optional<LossScaler> loss_scaler_;
  compile::EagerStep step_;
  at::Device device_;
  bool gathered_ = false;         ///< the adapters' copies are those of the chunks
  double labels_ = 0, loss_ = 0;  ///< of the microbatches that wait: labels that count, sum of their losses
};

}  // namespace assay::kernels::fsdp
