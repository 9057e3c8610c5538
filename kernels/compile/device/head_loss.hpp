// SPDX-License-Identifier: Apache-2.0
// kHeadLoss in chunks of rows: logits, softmax pass over them in place, gradient of h.
//
// The gradient that leaves here, and with it all of backward, is that of the *sum* of the losses: of the
// order of one token's, whatever their number, so that f16 does not lose it below its smallest numbers (a
// mean over 4096 tokens would: p / 4096 of a vocabulary's softmax is 0 in f16). The walk divides by the
// number of labels where everything is f32 again, in the adapters' gradients.
#pragma once

#include "kernels/compile/device/step_plan.hpp"

namespace assay::kernels::compile {

struct HeadLossShape {
  std::int64_t rows = 0, hidden = 0, vocab = 0;
};
HeadLossShape head_loss_shape(const Program& program, const Op& op);

/// Elements from row to row of the logits: the vocabulary rounded up to whole 16-byte vectors.
std::int64_t logits_stride(std::int64_t vocab);

/// As chunk_plan decides where free memory is not known. `asked` rows where not 0; throws
/// std::invalid_argument below 0.
std::int64_t head_loss_chunk(const HeadLossShape& shape, std::int64_t asked);

/// Logits of a chunk, the loss of every row.
std::size_t head_loss_scratch_bytes(const HeadLossShape& shape, std::int64_t chunk_rows, ComputeType type);

/// loss = mean over the labels that are not −100 (0 without any), dh = gradient of the sum, times the loss
/// scaler's scale where there is one; the plan's loss scale = 1 / number of those labels.
void head_loss(const StepPlan& plan, std::size_t op, StepKernels& kernels);

}  // namespace assay::kernels::compile
