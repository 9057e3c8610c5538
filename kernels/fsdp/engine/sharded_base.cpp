// SPDX-License-Identifier: Apache-2.0
#include "kernels/fsdp/engine/sharded_base.hpp"

#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <c10/cuda/CUDAStream.h>

#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "kernels/fsdp/engine/step_shapes.hpp"
#include "kernels/fsdp/layout/packed_shard.hpp"
#include "kernels/nf4/dequantize.hpp"
#include "kernels/nf4/dequantize_cpu.hpp"

namespace assay::kernels::fsdp {
namespace {

nf4::ScalarType scalar_type(const at::Tensor& out) {
  switch (out.scalar_type()) {
    case at::kHalf:
      return nf4::ScalarType::kFloat16;
    case at::kBFloat16:
      return nf4::ScalarType::kBfloat16;
    case at::kFloat:
      return nf4::ScalarType::kFloat32;
    default:
      TORCH_CHECK_VALUE(false, "expected to decode to f16, bf16 or f32, found ", out.scalar_type());
  }
}

/// Into `to` of the type of `out`, on the device of `out`; on a GPU on torch's current stream.
void decode_piece(const nf4::PackedWeights& weights, std::byte* to, const at::Tensor& out) {
  if (out.is_cuda())
    nf4::dequantize({.weights = weights, .out = to, .out_type = scalar_type(out)},
                    c10::cuda::getCurrentCUDAStream());
  else
    nf4::dequantize_cpu(weights, to, scalar_type(out));
}

std::span<std::byte> bytes_of(const at::Tensor& tensor) {
  return {static_cast<std::byte*>(tensor.mutable_data_ptr()), tensor.nbytes()};
}

}  // namespace

ShardedBase::ShardedBase(const compile::Program& program, c10::intrusive_ptr<c10d::Backend> group,
                         const BaseOptions& options, at::Device device)
    : group_(std::move(group)), visits_(layer_visits(program)) {
  std::vector<PackedLayout> layouts;
  for (auto& parameters : packed_layers(program)) {
    const int layer = static_cast<int>(layouts.size());
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      Place place;
      place.layer = layer, place.parameter = i;
      places_[parameters[i].name] = place;
    }
    layouts.emplace_back(std::move(parameters), group_->getSize(), options.sharding, options.format);
    shards_.push_back(at::zeros({layouts.back().shard_bytes()}, at::TensorOptions(at::kByte).device(device)));
  }
  gathered_ = std::make_unique<GatheredLayers>(std::move(layouts), shards_, group_, options.gather_buffers);
}

ShardedBase::Place& ShardedBase::place(const std::string& name) {
  const auto found = places_.find(name);
  if (found == places_.end())
    throw std::invalid_argument("sharded base: expected a packed weight of the step, found '" + name + "'");
  return found->second;
}

void ShardedBase::load(const std::string& name, const nf4::PackedWeights& whole) {
  Place& at = place(name);
  const PackedLayout& layout = gathered_->layout(at.layer);
  at::Tensor& shard = shards_[static_cast<std::size_t>(at.layer)];
  const at::Tensor host = shard.cpu();  // itself where it lies there
  write_shard(layout, at.parameter, group_->getRank(), whole, bytes_of(host));
  shard.copy_(host);
  if (has_code_ && std::memcmp(nested_code_.data(), whole.nested_code, sizeof(nested_code_)) != 0)
    throw std::invalid_argument("sharded base: expected '" + name +
                                "' with the nested codes of the weights before");
  std::copy_n(whole.nested_code, nested_code_.size(), nested_code_.begin());
  if (!has_code_)
    code_ = at::tensor(at::ArrayRef<float>(nested_code_)).to(shard.device());
  has_code_ = true;
  at.offset = at::tensor({*whole.nested_offset}).to(shard.device());
  at.codebook = whole.codebook;
  at.loaded = true;
}

void ShardedBase::decode(const std::string& name, at::Tensor out) {
  const Place& at = place(name);
  if (!at.loaded)
    throw std::logic_error("sharded base: expected '" + name + "' to be loaded before it is used");
  while (visits_[visit_] != at.layer) visit_ = (visit_ + 1) % visits_.size();
  const std::size_t after = (visit_ + 1) % visits_.size(),
                    next = visits_[after] == at.layer ? after + 1 : after;
  const at::Tensor gathered = gathered_->get(at.layer, visits_[next % visits_.size()]);
  const PackedLayout& layout = gathered_->layout(at.layer);
  auto* to = static_cast<std::byte*>(out.mutable_data_ptr());
  for (const Piece& piece : layout.pieces(at.parameter))
    decode_piece(in_gathered(layout, piece, static_cast<const std::byte*>(gathered.const_data_ptr()),
                             {code_.const_data_ptr<float>(), at.offset.const_data_ptr<float>(), at.codebook}),
                 to + piece.first_weight * out.element_size(), out);
}

std::int64_t ShardedBase::shard_bytes() const {
  std::int64_t bytes = 0;
  for (const at::Tensor& shard : shards_) bytes += shard.numel();
  return bytes;
}

}  // namespace assay::kernels::fsdp
