// SPDX-License-Identifier: Apache-2.0
// N = world · padded tokens, of all ranks; C = rows of a rank's chunk.
#include "kernels/fsdp/engine/sharded_vocabulary.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>

#include <limits>

#include "kernels/fsdp/engine/wait.hpp"

namespace assay::kernels::fsdp {
namespace {

using at::Tensor;

/// Which of `ids` are in this rank's rows, and their place there (0 for the others).
struct Own {
  Own(const Tensor& ids, const Split& rows, int rank)
      : mask(ids.ge(rows.first(rank)).logical_and(ids.lt(rows.first(rank) + rows.size(rank)))),
        row(at::where(mask, ids - rows.first(rank), 0)) {}
  Tensor mask, row;
};

}  // namespace

ShardedVocabulary::ShardedVocabulary(const VocabularyShape& shape, at::ScalarType compute,
                                     c10::intrusive_ptr<c10d::Backend> group, at::Device device)
    : shape_(shape), group_(std::move(group)), rows_(shape.vocabulary, group_->getSize()) {
  const at::TensorOptions options = at::TensorOptions(compute).device(device);
  padded_tokens_ = reduced(at::full({1}, shape.tokens, options.dtype(at::kLong)), c10d::ReduceOp::MAX)
                       .item<std::int64_t>();
  embedding_ = at::zeros({rows_.chunk(), shape.hidden}, options);
  head_ = shape.tied ? embedding_ : at::zeros_like(embedding_);
}

void ShardedVocabulary::keep(const Tensor& whole, Tensor rows) {
  TORCH_CHECK_VALUE(whole.dim() == 2 && whole.size(0) == shape_.vocabulary &&
                        whole.size(1) == shape_.hidden && whole.scalar_type() == rows.scalar_type(),
                    "expected a vocabulary matrix ", shape_.vocabulary, " × ", shape_.hidden, " of ",
                    rows.scalar_type(), ", found ", whole.scalar_type(), " ", whole.sizes());
  const int rank = group_->getRank();
  rows.narrow(0, 0, rows_.size(rank)).copy_(whole.narrow(0, rows_.first(rank), rows_.size(rank)));
}

/// [T, …] of every rank, padded, one behind the other.
Tensor ShardedVocabulary::gather(const Tensor& own, double padding) {
  std::vector<std::int64_t> pad(static_cast<std::size_t>(2 * own.dim()), 0);
  pad.back() = padded_tokens_ - own.size(0);
  Tensor input = at::constant_pad_nd(own, pad, padding).contiguous();
  std::vector<std::int64_t> sizes = input.sizes().vec();
  sizes[0] *= group_->getSize();
  Tensor all = at::empty(sizes, own.options());
  wait_for(group_->_allgather_base(all, input));
  return all;
}

/// This rank's [T, H] of the sum over ranks of [N, H].
Tensor ShardedVocabulary::scatter_sum(const Tensor& all) {
  Tensor input = all.contiguous(), own = at::empty({padded_tokens_, all.size(1)}, all.options());
  wait_for(group_->_reduce_scatter_base(own, input));
  return own.narrow(0, 0, shape_.tokens);
}

Tensor ShardedVocabulary::reduced(Tensor values, c10d::ReduceOp::RedOpType op) {
  std::vector<Tensor> tensors{values.contiguous()};
  c10d::AllreduceOptions options;
  options.reduceOp = op;
  wait_for(group_->allreduce(tensors, options));
  return tensors[0];
}

void ShardedVocabulary::embed(const Tensor& tokens, Tensor x) {
  const at::NoGradGuard no_gradients;
  const Own own(gather(tokens.view(-1), 0), rows_, group_->getRank());
  const Tensor rows = at::embedding(embedding_, own.row) * own.mask.unsqueeze(1);
  x.copy_(scatter_sum(rows));
}

void ShardedVocabulary::head_loss(const Tensor& h, const Tensor& labels, Tensor loss, Tensor dh,
                                  double gradient_scale) {
  const at::NoGradGuard no_gradients;
  const int rank = group_->getRank();
  const Tensor target = gather(labels.view(-1), -100), counts = target.ne(-100);  // [N]
  const Tensor states = gather(h, 0).to(at::kFloat), head = head_.to(at::kFloat);
  Tensor logits = at::mm(states, head.t());  // [N, C]
  logits.slice(1, rows_.size(rank)).fill_(-std::numeric_limits<float>::infinity());
  // A rank without rows has no largest logit of its own: any finite number serves.
  const Tensor largest =
      reduced(logits.amax(1).clamp_min(std::numeric_limits<float>::lowest()), c10d::ReduceOp::MAX);
  const Tensor powers = (logits - largest.unsqueeze(1)).exp();
  const Own own(target, rows_, rank);
  const Tensor at_target = at::where(own.mask, logits.gather(1, own.row.unsqueeze(1)).squeeze(1), 0);
  const Tensor sums = reduced(at::stack({powers.sum(1), at_target}), c10d::ReduceOp::SUM);  // [2, N]
  const Tensor losses = (largest + sums[0].log() - sums[1]) * counts;
  // Each rank's mean is over its own labels.
  const Tensor number = counts.view({group_->getSize(), -1}).sum(1, true).to(at::kFloat).clamp_min(1);
  loss.copy_((losses.view({group_->getSize(), -1}).sum(1, true) / number)[rank]);
  Tensor gradient = powers / sums[0].unsqueeze(1);
  gradient.scatter_add_(1, own.row.unsqueeze(1), -own.mask.to(at::kFloat).unsqueeze(1));
  const Tensor weight = (counts.view({group_->getSize(), -1}) * gradient_scale / number).view({-1, 1});
  dh.copy_(scatter_sum(at::mm(gradient * weight, head)));
}

std::int64_t ShardedVocabulary::resident_bytes() const {
  return static_cast<std::int64_t>(embedding_.nbytes()) * (shape_.tied ? 1 : 2);
}

}  // namespace assay::kernels::fsdp
