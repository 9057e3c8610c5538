// SPDX-License-Identifier: Apache-2.0
#include "kernels/backprop/autograd/fused_derivative.hpp"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/sum.h>
#include <c10/cuda/CUDAStream.h>
#include <c10/util/Exception.h>

#include <utility>

namespace assay::kernels::backprop {
namespace {

using at::Tensor;

// The f32 sum of dW is read and written once a chunk, so chunks are large: 4096 rows of 128256 16-bit logits
// take 1002 MiB at a time when dW itself, rounded at the end, does not exist yet. Without that sum 1024 rows
// already make products that the tensor cores bound (docs/backprop.md).
constexpr std::int64_t kMostRows = 4096, kMostRowsFrozen = 1024;

LogitType type_of(const Tensor& logits) {
  switch (logits.scalar_type()) {
    case at::kHalf:
      return LogitType::kFloat16;
    case at::kBFloat16:
      return LogitType::kBfloat16;
    case at::kFloat:
      return LogitType::kFloat32;
    default:
      TORCH_CHECK_VALUE(false, "expected hidden states of f16, bf16 or f32 on the fast path, found ",
                        logits.scalar_type(), "; the general path takes f64");
  }
}

LogitRows rows_of(const Tensor& logits, const LogitTransform& transform) {
  LogitRows rows;
  rows.data = logits.mutable_data_ptr();
  rows.type = type_of(logits);
  rows.rows = logits.size(0);
  rows.vocab = logits.size(1);
  rows.stride = logits.stride(0);
  rows.transform = transform;
  return rows;
}

/// The chunk's labels or tokens, those of rows that do not count replaced by `none`.
Tensor indices_of(const MaskedChunk& chunk, std::int64_t none) {
  const Tensor& rows = chunk.rows.at(0);
  return (chunk.mask.defined() ? rows.masked_fill(chunk.mask.logical_not(), none) : rows).contiguous();
}

cudaStream_t stream_of(const Tensor& t) {
  return c10::cuda::getCurrentCUDAStream(t.device().index());
}

}  // namespace

FusedCrossEntropy::FusedCrossEntropy(CrossEntropyOptions options) : options_(std::move(options)) {
  if (options_.class_weight.defined())
    options_.class_weight = options_.class_weight.to(at::kFloat).contiguous();
}

Tensor FusedCrossEntropy::pass(MaskedChunk& chunk, const Tensor& scale) const {
  const Tensor labels = indices_of(chunk, options_.ignore_index);
  const Tensor loss = at::empty({chunk.logits.size(0)}, chunk.logits.options().dtype(at::kFloat));
  CrossEntropyPass pass;
  pass.logits = rows_of(chunk.logits, options_.transform);
  pass.labels = labels.const_data_ptr<std::int64_t>();
  pass.ignore_index = options_.ignore_index;
  pass.label_smoothing = static_cast<float>(options_.label_smoothing);
  pass.z_loss = static_cast<float>(options_.z_loss);
  if (options_.class_weight.defined())
    pass.class_weight = options_.class_weight.const_data_ptr<float>();
  pass.write_gradient = scale.defined();
  if (scale.defined())
    pass.gradient_scale = scale.const_data_ptr<float>();
  pass.loss = loss.mutable_data_ptr<float>();
  if (chunk.logits.is_cuda()) {
    cross_entropy_pass(pass, stream_of(chunk.logits));
  } else {
    cross_entropy_pass_cpu(pass, at::get_num_threads());
  }
  return loss;
}

ChunkDerivative::Result FusedCrossEntropy::sum(MaskedChunk& chunk, const Tensor& scale,
                                               bool with_gradient) const {
  const Tensor loss = pass(chunk, with_gradient ? scale.to(at::kFloat) : Tensor());
  return {at::sum(loss, at::kDouble), with_gradient ? chunk.logits.to(chunk.gradient_type) : Tensor()};
}

Tensor FusedCrossEntropy::values(MaskedChunk& chunk) const {
  return pass(chunk, {});
}

Tensor FusedCrossEntropy::gradient(MaskedChunk& chunk, const Tensor& upstream, const Tensor&) const {
  const double scale = chunk.logits.scalar_type() == at::kHalf ? kHalfScale : 1.0;
  pass(chunk, at::full({}, scale, upstream.options().dtype(at::kFloat)));
  return chunk.logits.mul_(upstream.div(scale).unsqueeze(1)).to(chunk.gradient_type);
}

std::int64_t FusedDerivative::bytes_per_logit() const {
  return 4;  // f32 at most, and nothing beside it
}
std::int64_t FusedDerivative::most_rows(bool sums_weight) const {
  return sums_weight ? kMostRows : kMostRowsFrozen;
}

ChunkDerivative::Result FusedTokenStatistics::sum(MaskedChunk&, const Tensor&, bool) const {
  TORCH_CHECK(false, "token statistics are values of rows: expected Reduction::kRows");
}

Tensor FusedTokenStatistics::values(MaskedChunk& chunk) const {
  const Tensor tokens = indices_of(chunk, -1);
  const Tensor statistics = at::empty({chunk.logits.size(0), 3}, chunk.logits.options().dtype(at::kFloat));
  TokenStatisticsPass pass;
  pass.logits = rows_of(chunk.logits, transform_);
  pass.tokens = tokens.const_data_ptr<std::int64_t>();
  pass.statistics = statistics.mutable_data_ptr<float>();
  if (chunk.logits.is_cuda()) {
    token_statistics_pass(pass, stream_of(chunk.logits));
  } else {
    token_statistics_pass_cpu(pass, at::get_num_threads());
  }
  return statistics;
}

Tensor FusedTokenStatistics::gradient(MaskedChunk& chunk, const Tensor& upstream, const Tensor& known) const {
  const Tensor tokens = indices_of(chunk, -1);
  const Tensor g = upstream.to(at::kFloat).contiguous(), statistics = known.contiguous();
  TokenStatisticsGradientPass pass;
  pass.logits = rows_of(chunk.logits, transform_);
  pass.tokens = tokens.const_data_ptr<std::int64_t>();
  pass.statistics = statistics.const_data_ptr<float>();
  pass.upstream = g.const_data_ptr<float>();
  if (chunk.logits.is_cuda()) {
    token_statistics_gradient_pass(pass, stream_of(chunk.logits));
  } else {
    token_statistics_gradient_pass_cpu(pass, at::get_num_threads());
  }
  return chunk.logits.to(chunk.gradient_type);
}

}  // namespace assay::kernels::backprop
