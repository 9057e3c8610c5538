// SPDX-License-Identifier: Apache-2.0
// What only a GPU shows: masks instead of dropped rows, nothing waits, captured graphs, the 16-bit products.
#include <ATen/ATen.h>
#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <gtest/gtest.h>

#include "kernels/backprop/autograd/fused_losses.hpp"
#include "kernels/backprop/autograd/testing.hpp"

namespace assay::kernels::backprop {
namespace {

using namespace testing;  // NOLINT: the helpers of these tests

constexpr double kUpstream = 3.7;

using Loss = Tensor (*)(const Tensor&, const LinearHead&, const Tensor&, const CrossEntropyOptions&,
                        MemoryEfficientOptions);

class GpuMemoryEfficientLinear : public ::testing::TestWithParam<Loss> {
 protected:
  void SetUp() override {
    if (c10::cuda::device_count() == 0)
      GTEST_SKIP() << "no GPU";
  }
  Tensor loss_of(const Layer& layer, const MemoryEfficientOptions& options) const {
    return GetParam()(layer.hidden, layer.head, layer.labels, {}, options);
  }
};

TEST_P(GpuMemoryEfficientLinear, errors_in_16_bits_are_those_of_the_plain_version) {
  for (const at::ScalarType type : {at::kHalf, at::kBFloat16}) {
    Layer layer(300, 256, 3000, type, at::kCUDA);
    layer.labels = layer.labels.masked_fill(at::arange(300, layer.labels.options()).remainder(3).eq(1), -100);
    const Layer exact = layer.to(at::kDouble);
    const auto truth = gradients(plain_cross_entropy(exact), exact.tensors(), kUpstream);
    const Tensor plain_loss = at::cross_entropy_loss(layer.logits().to(at::kFloat), layer.labels);
    const auto plain = gradients(plain_loss, layer.tensors(), kUpstream);
    const auto found = gradients(loss_of(layer, {.chunks = {.rows = 128}}), layer.tensors(), kUpstream);
    for (std::size_t i = 0; i < truth.size(); ++i)
      EXPECT_LE(relative_error(found[i], truth[i]), 1.5 * relative_error(plain[i], truth[i]))
          << type << " " << i;
  }
}

TEST_P(GpuMemoryEfficientLinear, rounded_logits_without_a_bias_are_as_good) {
  for (const at::ScalarType type : {at::kHalf, at::kBFloat16}) {
    Layer layer(300, 256, 3000, type, at::kCUDA);
    layer.head.bias = layer.head.lora_a = layer.head.lora_b = Tensor();
    const std::vector<Tensor> of{layer.hidden, layer.head.weight};
    const Tensor hidden = layer.hidden.detach().to(at::kDouble).requires_grad_(true);
    const Tensor weight = layer.head.weight.detach().to(at::kDouble).requires_grad_(true);
    const auto truth =
        gradients(at::cross_entropy_loss(hidden.mm(weight.t()), layer.labels), {hidden, weight}, kUpstream);
    const Tensor logits = layer.hidden.mm(layer.head.weight.t()).to(at::kFloat);
    const auto plain = gradients(at::cross_entropy_loss(logits, layer.labels), of, kUpstream);
    const auto found = gradients(loss_of(layer, {.chunks = {.rows = 128}}), of, kUpstream);
    for (std::size_t i = 0; i < truth.size(); ++i)
      EXPECT_LE(relative_error(found[i], truth[i]), 1.5 * relative_error(plain[i], truth[i]))
          << type << " " << i;
  }
}

TEST_P(GpuMemoryEfficientLinear, automatic_chunks_are_as_good_as_given_ones) {
  Layer layer(8192, 64, 1000, at::kBFloat16, at::kCUDA);  // general: chunks of 512, four a product with dW
  layer.head.bias = layer.head.lora_a = layer.head.lora_b = Tensor();
  layer.labels = layer.labels.masked_fill(at::arange(8192, layer.labels.options()).remainder(7).eq(1), -100);
  const std::vector<Tensor> of{layer.hidden, layer.head.weight};
  const auto given = gradients(loss_of(layer, {.chunks = {.rows = 512}}), of, kUpstream);
  const auto found = gradients(loss_of(layer, {}), of, kUpstream);
  for (std::size_t i = 0; i < of.size(); ++i) EXPECT_LE(relative_error(found[i], given[i]), 0x1p-8) << i;
}

TEST_P(GpuMemoryEfficientLinear, masked_rows_and_dropped_rows_agree) {
  Layer layer(64, 32, 500, at::kFloat, at::kCUDA);
  layer.labels = layer.labels.masked_fill(at::arange(64, layer.labels.options()).remainder(3).ne(0), -100);
  const Tensor masked = loss_of(layer, {.chunks = {.rows = 20}});
  const Tensor dropped = loss_of(layer, {.chunks = {.rows = 20}, .wait_for_count = true});
  EXPECT_LE(relative_error(masked, dropped), 1e-6);
  const auto truth = gradients(dropped, layer.tensors(), kUpstream);
  const auto found = gradients(masked, layer.tensors(), kUpstream);
  for (std::size_t i = 0; i < truth.size(); ++i) EXPECT_LE(relative_error(found[i], truth[i]), 1e-5) << i;
}

TEST_P(GpuMemoryEfficientLinear, a_captured_step_follows_its_inputs) {
  const Layer layer(300, 64, 1000, at::kBFloat16, at::kCUDA);
  const auto step = [&] {
    const Tensor loss = loss_of(layer, {.chunks = {.rows = 128}});
    auto all = gradients(loss, layer.tensors(), kUpstream);
    all.push_back(loss);
    return all;
  };
  const auto stream = c10::cuda::getStreamFromPool();
  const c10::cuda::CUDAStreamGuard guard(stream);
  step();
  stream.synchronize();
  at::cuda::CUDAGraph graph;
  graph.capture_begin();
  const auto captured = step();
  graph.capture_end();
  layer.labels.copy_(layer.labels.flip(0));
  graph.replay();
  stream.synchronize();
  const auto truth = step();
  for (std::size_t i = 0; i < truth.size(); ++i) EXPECT_TRUE(captured[i].equal(truth[i])) << i;
}

TEST_P(GpuMemoryEfficientLinear, equal_calls_give_equal_bits) {
  const Layer layer(300, 64, 1000, at::kBFloat16, at::kCUDA);
  const auto run = [&] {
    return gradients(loss_of(layer, {.chunks = {.rows = 128}}), layer.tensors(), kUpstream);
  };
  const auto first = run(), second = run();
  for (std::size_t i = 0; i < first.size(); ++i) EXPECT_TRUE(first[i].equal(second[i])) << i;
}

INSTANTIATE_TEST_SUITE_P(Gpu, GpuMemoryEfficientLinear,
                         ::testing::Values(&linear_cross_entropy, &fused_linear_cross_entropy),
                         [](const auto& tested) { return tested.index == 0 ? "general" : "fused"; });

}  // namespace
}  // namespace assay::kernels::backprop
