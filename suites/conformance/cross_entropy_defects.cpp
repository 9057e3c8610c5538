// SPDX-License-Identifier: Apache-2.0
// Cross entropy behind the last layer: options that are dropped, gradients of other sums, 16-bit sums.
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/zeros.h>

#include <functional>

#include "suites/conformance/defects.hpp"
#include "suites/conformance/last_layer.hpp"
#include "suites/conformance/paths.hpp"
#include "suites/conformance/text.hpp"

namespace assay::suites::conformance {
namespace {

namespace ours = kernels::backprop;
using at::Tensor;

constexpr std::int64_t kIgnore = -100;

// ---- label smoothing

using Smoothed = std::function<Tensor(const LastLayer&, double smoothing)>;

Tensor smoothed(const LastLayer& layer, double smoothing) {
  ours::CrossEntropyOptions options;
  options.label_smoothing = smoothing;
  return ours::linear_cross_entropy(layer.hidden, layer.head(), layer.labels, options,
                                    {.chunks = {.rows = 7}});
}
Tensor never_smoothed(const LastLayer& layer, double) {
  return smoothed(layer, 0.0);
}

void smoothing_is_applied(const Smoothed& loss) {
  LastLayer layer(30, 12, 50, at::kFloat);
  layer.labels = layer.labels.masked_fill(at::arange(30).remainder(4).eq(0), kIgnore);
  const LastLayer exact = layer.in_f64();
  for (const double smoothing : {0.0, 0.1}) {
    const Tensor truth = at::cross_entropy_loss(exact.logits(), layer.labels, std::nullopt,
                                                at::Reduction::Mean, kIgnore, smoothing);
    demand_same(answer([&] { return loss(layer, smoothing); }), layer.tensors(), truth, exact.tensors(),
                1e-5);
  }
}

// ---- a weight for every row

using Rows = std::function<Tensor(const LastLayer&)>;

Tensor rows_of(const LastLayer& layer) {
  return ours::linear_cross_entropy(layer.hidden, layer.head(), layer.labels, {},
                                    {.reduction = ours::Reduction::kRows, .chunks = {.rows = 3}});
}
/// Values of all rows; backward takes the first row's upstream gradient for every one.
Tensor rows_with_one_upstream(const LastLayer& layer) {
  const Tensor rows = rows_of(layer), sum = rows.sum();
  return rows.detach().add(sum.sub(sum.detach()) * at::arange(rows.numel()).eq(0));
}

void every_row_has_its_upstream(const Rows& of) {
  LastLayer layer(8, 10, 15, at::kFloat);
  layer.labels = layer.labels.masked_fill(at::arange(8).eq(0), kIgnore);
  const LastLayer exact = layer.in_f64();
  const Tensor weights = at::arange(8, at::kFloat).mul(0.25);
  const Tensor truth =
      at::cross_entropy_loss(exact.logits(), layer.labels, std::nullopt, at::Reduction::None, kIgnore);
  const Tensor found = answer([&] { return of(layer); });
  demand_same(found.mul(weights).sum(), layer.tensors(), truth.mul(weights).sum(), exact.tensors(), 1e-5);
}

// ---- dW over many chunks

using WeightGradient = std::function<Tensor(const LastLayer&)>;
constexpr std::int64_t kChunk = 2;

Tensor weight_gradient(const LastLayer& layer) {
  const Tensor loss =
      ours::linear_cross_entropy(layer.hidden, layer.head(), layer.labels, {}, {.chunks = {.rows = kChunk}});
  return gradients(loss, {layer.weight}).front();
}
Tensor weight_gradient_summed_in(at::ScalarType type, const LastLayer& layer) {
  Tensor sum = at::zeros(layer.weight.sizes(), type);
  for (std::int64_t row = 0; row < layer.hidden.size(0); row += kChunk) {
    const Tensor logits = layer.hidden.narrow(0, row, kChunk).mm(layer.weight.t()).to(at::kFloat);
    const Tensor loss = at::cross_entropy_loss(logits, layer.labels.narrow(0, row, kChunk)) * kChunk;
    sum = sum.add(gradients(loss, {layer.weight}).front().to(type));
  }
  return sum.div(layer.hidden.size(0));
}
/// Chunks are added up in the weight's own 16 bits.
Tensor weight_gradient_in_16_bits(const LastLayer& layer) {
  return weight_gradient_summed_in(layer.weight.scalar_type(), layer);
}
Tensor weight_gradient_in_f32(const LastLayer& layer) {
  return weight_gradient_summed_in(at::kFloat, layer);
}

Tensor exact_weight_gradient(const LastLayer& layer) {
  const LastLayer exact = layer.in_f64();
  return gradients(at::cross_entropy_loss(exact.logits(), exact.labels), {exact.weight}).front();
}

/// 512 chunks whose parts mostly have one sign, so that a short sum stops to grow.
void many_chunks_add_up(const WeightGradient& of) {
  LastLayer layer(512 * kChunk, 16, 32, at::kBFloat16);
  layer.set_hidden(layer.hidden.detach().abs());
  layer.labels = layer.labels.remainder(4);
  const Tensor found = answer([&] { return of(layer); });
  demand_error("dW of 512 chunks in bf16", relative_error(found, exact_weight_gradient(layer)), 5e-3);
}

// ---- words of small probability

Tensor weight_gradient_from(double least, const LastLayer& layer) {
  const Tensor p = at::softmax(layer.logits().detach(), 1);
  const Tensor target = at::zeros(p.sizes(), p.options()).scatter(1, layer.labels.unsqueeze(1), 1.0);
  const Tensor gradient = p.sub(target);
  return gradient.masked_fill(gradient.abs().lt(least), 0.0)
      .t()
      .mm(layer.hidden.detach())
      .div(layer.hidden.size(0));
}

/// Gradients of the logits below 2^-12 are taken for zero.
Tensor filtered_weight_gradient(const LastLayer& layer) {
  return weight_gradient_from(1.0 / 4096, layer);
}
Tensor weight_gradient_of_all(const LastLayer& layer) {
  return weight_gradient_from(0.0, layer);
}

void every_word_gets_its_gradient(const WeightGradient& of) {
  LastLayer layer(16, 8, 16384, at::kFloat);
  layer.labels = layer.labels.remainder(8);
  const Tensor found = answer([&] { return of(layer); }).to(at::kDouble),
               truth = exact_weight_gradient(layer);
  const Tensor errors = found.sub(truth).norm(2, 1).div(truth.norm(2, 1));
  demand_error("each word's part of dW", errors.max().item<double>(), 1e-3);
}

}  // namespace

std::vector<Defect> cross_entropy_defects() {
  return {
      defect({"linkedin/Liger-Kernel", 243, "the fused layer takes label smoothing and does not apply it",
              kLinearLosses},
             smoothed, never_smoothed, smoothing_is_applied),
      defect({"linkedin/Liger-Kernel", 968,
              "without a reduction every row gets the first row's upstream gradient", kLinearLosses},
             rows_of, rows_with_one_upstream, every_row_has_its_upstream),
      defect({"linkedin/Liger-Kernel", 512, "dW is summed over chunks in bf16 and training diverges",
              kLinearLosses},
             weight_gradient, weight_gradient_in_16_bits, many_chunks_add_up, weight_gradient_in_f32),
      defect(
          {"apple/ml-cross-entropy", 14, "dW of words of small probability is filtered away", kLinearLosses},
          weight_gradient, filtered_weight_gradient, every_word_gets_its_gradient, weight_gradient_of_all)};
}

}  // namespace assay::suites::conformance
