// SPDX-License-Identifier: Apache-2.0
#include "suites/backprop/training_losses.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/flip.h>
#include <ATen/ops/mm.h>

#include "kernels/backprop/autograd/losses.hpp"

namespace assay::suites::backprop {
namespace {

using at::Tensor;
using reference::llama::Linear;

Tensor naive_cross_entropy(const Tensor& states, const Linear& head, const Tensor& labels,
                           at::Reduction::Reduction reduction) {
  return at::cross_entropy_loss(head(states).to(at::kFloat), labels, {}, reduction);
}

}  // namespace

std::vector<TrainingRun> naive_trainings(int count, bool narrow) {
  const HeadLoss mean = [](const Tensor& states, const Linear& head, const Tensor& labels) {
    return naive_cross_entropy(states, head, labels, at::Reduction::Mean);
  };
  const HeadLoss sum = [](const Tensor& states, const Linear& head, const Tensor& labels) {
    return naive_cross_entropy(states, head, labels, at::Reduction::Sum);
  };
  // The order of rows alone leaves the bits of logits and dX as they are, which products of other shapes do
  // not: here the inner sums of both, over the width and over the vocabulary, run from their other ends.
  const HeadLoss axes_reversed = [](const Tensor& states, const Linear& head, const Tensor& labels) {
    const Tensor logits = at::mm(states.flip(1), head.weight.flip({0, 1}).t());
    const Tensor reversed_labels = labels.neg().add(head.rows() - 1);
    return at::cross_entropy_loss(logits.to(at::kFloat), reversed_labels, {}, at::Reduction::Mean);
  };
  // As gradient accumulation over two microbatches: products of half the rows, whose kernels differ.
  const HeadLoss halves = [](const Tensor& states, const Linear& head, const Tensor& labels) {
    const std::int64_t rows = states.size(0), first = rows / 2;
    const auto part = [&](std::int64_t begin, std::int64_t length) {
      return naive_cross_entropy(states.narrow(0, begin, length), head, labels.narrow(0, begin, length),
                                 at::Reduction::Sum);
    };
    return (part(0, first) + part(first, rows - first)) / static_cast<double>(rows);
  };
  std::vector<TrainingRun> runs = {
      {.loss = mean},
      {.loss = sum, .batch_reversed = true, .is_sum = true},
      {.loss = axes_reversed},
      narrow ? TrainingRun{.loss = mean, .batch_reversed = true} : TrainingRun{.loss = halves}};
  runs.resize(static_cast<std::size_t>(count));
  return runs;
}

TrainingRun memory_efficient_training(std::int64_t chunk_rows) {
  return {.loss = [chunk_rows](const Tensor& states, const Linear& head, const Tensor& labels) {
    kernels::backprop::LinearHead ours;
    ours.weight = head.weight;
    kernels::backprop::MemoryEfficientOptions options;
    options.chunks.rows = chunk_rows;
    return kernels::backprop::linear_cross_entropy(states, ours, labels, {}, options);
  }};
}

}  // namespace assay::suites::backprop
