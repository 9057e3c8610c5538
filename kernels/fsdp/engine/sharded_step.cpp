// SPDX-License-Identifier: Apache-2.0
#include "kernels/fsdp/engine/sharded_step.hpp"

#include <ATen/ops/tensor.h>

#include <cmath>
#include <stdexcept>

#include "kernels/fsdp/engine/step_shapes.hpp"
#include "kernels/fsdp/engine/wait.hpp"

namespace assay::kernels::fsdp {

ShardedStep::ShardedStep(const compile::StepOptions& options, at::ScalarType compute,
                         const RankGroups& groups, const ShardOptions& shard)
    : reduce_(groups.reduce),
      base_(compile::step_program(options), groups.gather, shard.base, shard.device),
      adapters_(adapter_tensors(compile::step_program(options)), compute, groups.reduce, shard.device),
      loss_scaler_(shard.loss_scaler),
      step_(without_optimizer(compile::step_program(options)), compute, shard.device),
      device_(shard.device) {
  if (loss_scaler_ && !shard.shard_vocabulary)
    throw std::invalid_argument(
        "sharded step: expected a sharded vocabulary beside a loss scaler, found a whole one");
  if (shard.shard_vocabulary)
    vocabulary_.emplace(VocabularyShape{.vocabulary = options.shape.vocab,
                                        .hidden = options.shape.hidden,
                                        .tokens = options.tokens,
                                        .tied = options.shape.tied},
                        compute, groups.reduce, shard.device);
  take_over(compile::step_program(options));
  const auto& tensors = adapters_.layout().tensors();
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    step_.bind(tensors[i].name + ".copy", adapters_.copy(i));
    step_.bind(tensors[i].name + ".gradient", adapters_.gradient(i));
  }
}

/// The operations that read what is sharded.
void ShardedStep::take_over(const compile::Program& program) {
  using compile::Op;
  using compile::OpKind;
  std::vector<std::string> names;
  for (const compile::Buffer& buffer : program.buffers) names.push_back(buffer.name);
  step_.run_with(OpKind::kDecode, [this, names = std::move(names)](const Op& op) {
    base_.decode(names[static_cast<std::size_t>(op.in[0].buffer)], step_.of(op.out[0]));
  });
  if (!vocabulary_)
    return;
  step_.run_with(OpKind::kEmbed,
                 [this](const Op& op) { vocabulary_->embed(step_.of(op.in[0]), step_.of(op.out[0])); });
  step_.run_with(OpKind::kHeadLoss, [this](const Op& op) {
    vocabulary_->head_loss(step_.of(op.in[0]), step_.of(op.in[2]), step_.of(op.out[0]), step_.of(op.out[1]),
                           scale());
  });
}

void ShardedStep::load(const std::string& name, const at::Tensor& whole) {
  const bool embedding = name == "embed_tokens";
  if (embedding || name == "lm_head")
    return !vocabulary_ ? step_.bind(name, whole)
           : embedding  ? vocabulary_->load_embedding(whole)
                        : vocabulary_->load_head(whole);
  const auto& tensors = adapters_.layout().tensors();
  for (std::size_t i = 0; i < tensors.size(); ++i)
    if (tensors[i].name == name)
      return adapters_.load(i, whole);
  throw std::invalid_argument("sharded step: expected an adapter of the step, found '" + name + "'");
}

/// Runs the list; the labels of this rank that count.
double ShardedStep::pass() {
  if (!gathered_)
    adapters_.gather();
  gathered_ = true;
  step_.run();
  return static_cast<double>(step_.tensor("labels").ne(-100).sum().item<std::int64_t>());
}

void ShardedStep::accumulate() {
  const double labels = pass();
  adapters_.accumulate(labels / scale());  // backward's gradients are of the mean over these labels
  labels_ += labels;
  loss_ += labels * step_.tensor("loss").item<double>();
}

StepResult ShardedStep::run(const at::Tensor& settings) {
  const double own = pass();
  std::vector<at::Tensor> sums{
      at::tensor({labels_ + own, loss_ + own * step_.tensor("loss").item<double>()}, at::kDouble)
          .to(device_)};
  labels_ = loss_ = 0;
  wait_for(reduce_->allreduce(sums));
  const double all = sums[0][0].item<double>();
  if (all < 1)
    throw std::invalid_argument(
        "sharded step: expected at least one label that counts, found none on any rank");
  adapters_.reduce(own / all / scale(), 1 / all);
  const at::Tensor square_sum = adapters_.square_sum();
  StepResult result{.loss = sums[0][1].item<double>() / all,
                    .labels = static_cast<std::int64_t>(all),
                    .gradient_norm = std::sqrt(square_sum.item<double>()),
                    .skipped = loss_scaler_ && !std::isfinite(square_sum.item<double>())};
  if (loss_scaler_)
    loss_scaler_->update(!result.skipped);
  if (!result.skipped) {
    adapters_.step(square_sum, settings);
    gathered_ = false;
  }
  return result;
}

}  // namespace assay::kernels::fsdp
