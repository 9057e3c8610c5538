// SPDX-License-Identifier: Apache-2.0
#include "kernels/compile/device/head_loss.hpp"

#include <algorithm>
#include <stdexcept>

#include "kernels/backprop/chunk_plan.hpp"

namespace assay::kernels::compile {
namespace {

std::size_t aligned(std::size_t bytes) {
  return (bytes + 255) / 256 * 256;
}

/// Of the rows' losses behind the logits.
std::size_t losses_offset(const HeadLossShape& shape, std::int64_t chunk_rows, ComputeType type) {
  return aligned(static_cast<std::size_t>(chunk_rows * logits_stride(shape.vocab)) * llama::size_of(type));
}

}  // namespace

HeadLossShape head_loss_shape(const Program& program, const Op& op) {
  const Buffer &h = program.buffers[static_cast<std::size_t>(op.in[0].buffer)],
               &head = program.buffers[static_cast<std::size_t>(op.in[1].buffer)];
  return {.rows = h.rows, .hidden = h.columns, .vocab = head.rows};
}

std::int64_t logits_stride(std::int64_t vocab) {
  return (vocab + 7) / 8 * 8;
}

std::int64_t head_loss_chunk(const HeadLossShape& shape, std::int64_t asked) {
  backprop::ChunkChoice choice;
  if (asked != 0)
    choice.rows = asked;
  return backprop::chunk_rows(choice, {.num_rows = shape.rows, .vocab = shape.vocab});
}

std::size_t head_loss_scratch_bytes(const HeadLossShape& shape, std::int64_t chunk_rows, ComputeType type) {
  return losses_offset(shape, chunk_rows, type) +
         aligned(static_cast<std::size_t>(shape.rows) * sizeof(float));
}

void head_loss(const StepPlan& plan, std::size_t index, StepKernels& kernels) {
  const BoundProgram& bound = plan.bound();
  const Op& op = bound.program.ops[index];
  const HeadLossShape shape = head_loss_shape(bound.program, op);
  std::byte* const scratch = plan.scratch(index);
  auto* const losses =
      reinterpret_cast<float*>(scratch + losses_offset(shape, plan.chunk_rows(), bound.compute));
  float* const scale = plan.loss_scale();
  const auto* const labels = bound.at<std::int64_t>(op.in[2]);
  const std::int64_t stride = logits_stride(shape.vocab);
  const auto row_bytes = static_cast<std::int64_t>(llama::size_of(bound.compute)) * shape.hidden;

  kernels.find_loss_scale({.labels = labels, .rows = shape.rows, .ignore_index = -100, .scale = scale});
  if (plan.scales_loss())
    kernels.begin_loss_scaling(plan.begin_loss_scaling());
  for (std::int64_t begin = 0; begin < shape.rows; begin += plan.chunk_rows()) {
    const std::int64_t rows = std::min(plan.chunk_rows(), shape.rows - begin);
    MatmulArgs product = plan.with_workspace({});
    product.in_type = product.out_type = matmul_type(bound.compute);
    product.a = bound.address(op.in[0]) + begin * row_bytes, product.b = bound.address(op.in[1]);
    product.d = scratch;
    product.m = rows, product.n = shape.vocab, product.k = shape.hidden;
    product.ldd = stride, product.transpose_b = true;
    kernels.matmul(product);
    backprop::CrossEntropyPass pass;
    pass.logits = {.data = scratch,
                   .type = logit_type(bound.compute),
                   .rows = rows,
                   .vocab = shape.vocab,
                   .stride = stride,
                   .bias = nullptr,
                   .transform = {}};
    pass.labels = labels + begin, pass.loss = losses + begin;
    pass.gradient_scale = plan.scales_loss() ? &plan.loss_scaler()->scale : nullptr;
    kernels.cross_entropy_pass(pass);
    product.a = scratch, product.d = bound.address(op.out[1]) + begin * row_bytes;
    product.m = rows, product.n = shape.hidden, product.k = shape.vocab;
    product.lda = stride, product.ldd = 0, product.transpose_b = false;
    kernels.matmul(product);
  }
  kernels.mean_loss(
      {.losses = losses, .rows = shape.rows, .scale = scale, .mean = bound.at<float>(op.out[0])});
}

}  // namespace assay::kernels::compile
