// SPDX-License-Identifier: Apache-2.0
#include "kernels/fsdp/engine/sharded_adapters.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>

#include "kernels/fsdp/engine/wait.hpp"

namespace assay::kernels::fsdp {

ShardedAdapters::ShardedAdapters(std::vector<AdapterTensor> tensors, at::ScalarType compute,
                                 c10::intrusive_ptr<c10d::Backend> group, at::Device device)
    : layout_(std::move(tensors), group->getSize()), group_(std::move(group)) {
  const std::int64_t chunk = layout_.split().chunk();
  const auto f32 = at::TensorOptions(at::kFloat).device(device);
  for (at::Tensor* each : {&weight_, &mean_, &square_, &gradient_}) *each = at::zeros({chunk}, f32);
  copies_ = at::zeros({layout_.split().padded()}, f32.dtype(compute));
  gradients_ = at::zeros({layout_.split().padded()}, f32);
}

at::Tensor ShardedAdapters::view(const at::Tensor& bucket, std::size_t i) const {
  const AdapterTensor& tensor = layout_.tensors().at(i);
  return bucket.narrow(0, layout_.offset(i), tensor.elements()).view({tensor.rows, tensor.columns});
}

void ShardedAdapters::load(std::size_t tensor, const at::Tensor& whole) {
  const AdapterTensor& of = layout_.tensors().at(tensor);
  TORCH_CHECK_VALUE(whole.numel() == of.elements() && whole.scalar_type() == at::kFloat, "expected '",
                    of.name, "' as ", of.rows, " × ", of.columns, " f32, found ", whole.scalar_type(), " ",
                    whole.sizes());
  const at::Tensor flat = whole.detach().reshape(-1);
  for (const AdapterPiece& piece : layout_.owned(group_->getRank()))
    if (piece.tensor == tensor)
      weight_.narrow(0, piece.local, piece.elements).copy_(flat.narrow(0, piece.first, piece.elements));
}

void ShardedAdapters::gather() {
  const std::int64_t chunk = layout_.split().chunk();
  at::Tensor own = copies_.narrow(0, chunk * group_->getRank(), chunk);
  own.copy_(weight_);
  wait_for(group_->_allgather_base(copies_, own));
}

void ShardedAdapters::accumulate(double factor) {
  if (!waiting_.defined())
    waiting_ = at::zeros_like(gradients_);
  if (!waits_)
    waiting_.zero_();
  waiting_.add_(gradients_, factor);
  waits_ = true;
}

void ShardedAdapters::reduce(double factor, double waiting_factor) {
  gradients_.mul_(factor);
  if (waits_)
    gradients_.add_(waiting_, waiting_factor);
  waits_ = false;
  wait_for(group_->_reduce_scatter_base(gradient_, gradients_));
}

at::Tensor ShardedAdapters::square_sum() {
  std::vector<at::Tensor> sum{gradient_.square().sum().view({1})};
  wait_for(group_->allreduce(sum));
  return sum[0];
}

/// torch.optim.AdamW behind clip_grad_norm_, whose scalars are f64 too: 1 - 0.999 in f32 is off by 1.3e-5.
void ShardedAdapters::step(const at::Tensor& square_sum, const at::Tensor& settings) {
  constexpr double kBeta1 = 0.9, kBeta2 = 0.999, kEpsilon = 1e-8;
  const at::NoGradGuard no_gradients;
  const auto setting = [&](std::int64_t i) {
    return static_cast<double>(settings.view({-1})[i].item<float>());
  };
  const double rate = setting(0), number = setting(1), decay = setting(2), largest = setting(3);
  const double norm = std::sqrt(square_sum.item<double>());
  if (largest > 0 && !std::isfinite(norm))
    return;
  if (largest > 0)
    gradient_.mul_(std::min(1.0, largest / (norm + 1e-6)));
  mean_.mul_(kBeta1).add_(gradient_, 1 - kBeta1);
  square_.mul_(kBeta2).addcmul_(gradient_, gradient_, 1 - kBeta2);
  const at::Tensor root = (square_.sqrt() / std::sqrt(1 - std::pow(kBeta2, number))).add_(kEpsilon);
  weight_.mul_(1 - rate * decay).addcdiv_(mean_, root, -rate / (1 - std::pow(kBeta1, number)));
}

std::vector<PartToWrite> ShardedAdapters::parts_of(const char* kind, const at::Tensor& chunk) const {
  std::vector<PartToWrite> parts;
  for (const AdapterPiece& piece : layout_.owned(group_->getRank())) {
    const AdapterTensor& tensor = layout_.tensors()[piece.tensor];
    auto* bytes = static_cast<std::byte*>(chunk.mutable_data_ptr()) + piece.local * 4;
    parts.push_back({{kind + tensor.name,
                      {Element::kFloat32, {tensor.rows, tensor.columns}},
                      piece.first,
                      piece.elements},
                     {bytes, static_cast<std::size_t>(piece.elements * 4)}});
  }
  return parts;
}

std::vector<PartToWrite> ShardedAdapters::parts() const {
  host_ = {weight_.cpu(), mean_.cpu(), square_.cpu()};
  std::vector<PartToWrite> all = parts_of("weight/", host_[0]);
  for (const auto& more : {parts_of("mean/", host_[1]), parts_of("square/", host_[2])})
    all.insert(all.end(), more.begin(), more.end());
  return all;
}

void ShardedAdapters::restore(const ShardedCheckpoint& checkpoint) {
  for (const auto& [part, bytes] : parts())
    checkpoint.read(part, {const_cast<std::byte*>(bytes.data()), bytes.size()});
  weight_.copy_(host_[0]), mean_.copy_(host_[1]), square_.copy_(host_[2]);
}

}  // namespace assay::kernels::fsdp
