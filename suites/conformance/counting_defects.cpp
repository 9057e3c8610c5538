// SPDX-License-Identifier: Apache-2.0
// Which tokens a mean is over: none at all, those of several micro-batches, labels that are no words.
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/full_like.h>

#include <functional>

#include "kernels/backprop/softmax_pass.hpp"
#include "suites/conformance/defects.hpp"
#include "suites/conformance/last_layer.hpp"
#include "suites/conformance/paths.hpp"
#include "suites/conformance/text.hpp"

namespace assay::suites::conformance {
namespace {

namespace ours = kernels::backprop;
using at::Tensor;

// ---- no label counts

using Loss = std::function<Tensor(const LastLayer&)>;

Tensor loss_of(const LastLayer& layer) {
  return ours::linear_cross_entropy(layer.hidden, layer.head(), layer.labels);
}
Tensor mean_of_nothing(const LastLayer& layer) {
  return at::cross_entropy_loss(layer.logits(), layer.labels);
}

void no_label_gives_zero(const Loss& loss) {
  LastLayer layer(6, 8, 20, at::kFloat);
  layer.labels = at::full_like(layer.labels, -100);
  const Tensor value = answer([&] { return loss(layer); });
  demand(value.item<double>() == 0.0, "a loss of 0 where no label counts", text(value.item<double>()));
  for (const Tensor& gradient : gradients(value, layer.tensors()))
    demand(gradient.abs().max().item<double>() == 0.0, "gradients of 0", "others");
}

// ---- micro-batches

constexpr std::int64_t kShort = 11, kLong = 101;

/// dX and dW of the rows [0, kShort) and [kShort, kShort + kLong) as two micro-batches of one step.
using Accumulate = std::function<std::vector<Tensor>(const LastLayer&)>;

std::vector<Tensor> accumulated(const LastLayer& layer, const ours::MemoryEfficientOptions& options,
                                double factor) {
  std::vector<Tensor> sum;
  for (const auto& [begin, count] : {std::pair{std::int64_t{0}, kShort}, std::pair{kShort, kLong}}) {
    const Tensor loss = ours::linear_cross_entropy(layer.hidden.narrow(0, begin, count), layer.head(),
                                                   layer.labels.narrow(0, begin, count), {}, options);
    const auto parts = gradients(loss * factor, layer.tensors());
    for (std::size_t i = 0; i < parts.size(); ++i) {
      if (sum.size() <= i)
        sum.push_back(parts[i]);
      else
        sum[i] = sum[i].add(parts[i]);
    }
  }
  return sum;
}
std::vector<Tensor> over_all_tokens(const LastLayer& layer) {
  ours::MemoryEfficientOptions options;
  options.divisor = layer.labels.ne(-100).sum();
  return accumulated(layer, options, 1.0);
}
std::vector<Tensor> mean_of_means(const LastLayer& layer) {
  return accumulated(layer, {}, 0.5);
}

void accumulation_is_one_batch(const Accumulate& accumulate) {
  LastLayer layer(kShort + kLong, 8, 20, at::kFloat);
  layer.labels = layer.labels.masked_fill(at::arange(kShort + kLong).remainder(3).eq(1), -100);
  const LastLayer exact = layer.in_f64();
  const auto truth = gradients(at::cross_entropy_loss(exact.logits(), exact.labels), exact.tensors());
  const auto found = answer([&] { return accumulate(layer); });
  for (std::size_t i = 0; i < truth.size(); ++i)
    demand_error(text("gradient ", i, " of two micro-batches"), relative_error(found[i], truth[i]), 1e-5);
}

// ---- labels that are neither words nor ignored

using Pass = std::function<void(const ours::CrossEntropyPass&)>;

void pass(const ours::CrossEntropyPass& args) {
  ours::cross_entropy_pass_cpu(args, 1);
}
/// Every negative label counts as ignored.
void pass_without_bounds(const ours::CrossEntropyPass& args) {
  std::vector<std::int64_t> labels(args.labels, args.labels + args.logits.rows);
  for (std::int64_t& label : labels)
    if (label < 0)
      label = args.ignore_index;
  ours::CrossEntropyPass lenient = args;
  lenient.labels = labels.data();
  pass(lenient);
}

void other_labels_are_refused(const Pass& run) {
  constexpr std::int64_t kRows = 3, kVocab = 5;
  std::vector<float> loss(kRows);
  const auto of_last_label = [&](std::int64_t label) {
    std::vector<float> logits(kRows * kVocab, 0.5f);
    const std::vector<std::int64_t> labels = {2, 0, label};
    ours::CrossEntropyPass args;
    args.logits.data = logits.data(), args.logits.type = ours::LogitType::kFloat32;
    args.logits.rows = kRows, args.logits.vocab = args.logits.stride = kVocab;
    args.labels = labels.data(), args.ignore_index = -1, args.loss = loss.data();
    run(args);
  };
  answer([&] { of_last_label(-1); });
  demand(loss[2] == 0.0f, "a loss of 0 for ignore_index -1", text(loss[2]));
  demand_refusal("the label -4 beside ignore_index -1", [&] { of_last_label(-4); });
  demand_refusal("the label 5 of 5 words", [&] { of_last_label(5); });
}

}  // namespace

std::vector<Defect> counting_defects() {
  return {defect({"pytorch/pytorch", 70348, "the mean is NaN where every label is ignored", kLinearLosses},
                 loss_of, mean_of_nothing, no_label_gives_zero),
          defect({"huggingface/transformers", 24725,
                  "gradient accumulation averages the means of unequal micro-batches", kLinearLosses},
                 over_all_tokens, mean_of_means, accumulation_is_one_batch),
          defect({"pytorch/pytorch", 12670,
                  "a negative label that is not ignore_index is taken without an error", kSoftmaxPassCpu},
                 pass, pass_without_bounds, other_labels_are_refused)};
}

}  // namespace assay::suites::conformance
