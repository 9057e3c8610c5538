// SPDX-License-Identifier: Apache-2.0
// The fast paths are the general path, in f32 to rounding and in 16 bits with no larger an error.
#include "kernels/backprop/autograd/fused_losses.hpp"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernels/backprop/autograd/testing.hpp"

namespace assay::kernels::backprop {
namespace {

using namespace testing;  // NOLINT: the helpers of these tests

constexpr double kUpstream = 3.7;
constexpr double kFloatError = 2e-6;

struct Variant {
  const char* name;
  CrossEntropyOptions loss;
};

std::vector<Variant> variants(std::int64_t vocab) {
  at::manual_seed(5);
  return {{"plain", {}},
          {"softcap", {.transform = {.softcap = 2.0}}},
          {"temperature", {.transform = {.temperature = 0.7}}},
          {"smoothing", {.label_smoothing = 0.1}},
          {"z_loss", {.z_loss = 0.01}},
          {"weights", {.label_smoothing = 0.1, .class_weight = at::rand({vocab}).add(0.2)}},
          {"all",
           {.transform = {.softcap = 3.0, .temperature = 1.3},
            .label_smoothing = 0.05,
            .z_loss = 1e-3,
            .class_weight = at::rand({vocab}).add(0.2)}}};
}

TEST(FusedCrossEntropy, equals_the_general_path_for_every_option_and_reduction) {
  const Layer layer(29, 16, 131, at::kFloat);
  const Tensor labels = layer.labels.masked_fill(at::arange(29).remainder(4).eq(1), -100);
  for (const Variant& variant : variants(131)) {
    for (const Reduction reduction : {Reduction::kSum, Reduction::kMean, Reduction::kRows}) {
      SCOPED_TRACE(std::string(variant.name) + " " + std::to_string(static_cast<int>(reduction)));
      const MemoryEfficientOptions options{.reduction = reduction, .chunks = {.rows = 7}};
      const Tensor general = linear_cross_entropy(layer.hidden, layer.head, labels, variant.loss, options);
      const Tensor fused =
          fused_linear_cross_entropy(layer.hidden, layer.head, labels, variant.loss, options);
      EXPECT_LE(relative_error(fused, general), kFloatError);
      const auto truth = gradients(general, layer.tensors(), kUpstream);
      const auto found = gradients(fused, layer.tensors(), kUpstream);
      for (std::size_t i = 0; i < truth.size(); ++i)
        EXPECT_LE(relative_error(found[i], truth[i]), kFloatError) << "tensor " << i;
    }
  }
}

TEST(FusedCrossEntropy, errors_in_16_bits_are_those_of_the_plain_version) {
  for (const at::ScalarType type : {at::kHalf, at::kBFloat16}) {
    const Layer layer(64, 48, 700, type);
    const Layer exact = layer.to(at::kDouble);
    const auto truth = gradients(plain_cross_entropy(exact), exact.tensors(), kUpstream);
    const Tensor plain_loss = at::cross_entropy_loss(layer.logits().to(at::kFloat), layer.labels);
    const auto plain = gradients(plain_loss, layer.tensors(), kUpstream);
    for (const Reduction reduction : {Reduction::kMean, Reduction::kRows}) {
      const Tensor loss = fused_linear_cross_entropy(layer.hidden, layer.head, layer.labels, {},
                                                     {.reduction = reduction, .chunks = {.rows = 24}})
                              .mean();
      const auto found = gradients(loss, layer.tensors(), kUpstream);
      for (std::size_t i = 0; i < truth.size(); ++i)
        EXPECT_LE(relative_error(found[i], truth[i]), 1.5 * relative_error(plain[i], truth[i]))
            << type << " " << i;
    }
  }
}

TEST(FusedTokenStatistics, equals_the_general_path) {
  const Layer layer(29, 16, 131, at::kFloat);
  const Tensor tokens = layer.labels.masked_fill(at::arange(29).remainder(4).eq(1), -1);
  const LogitTransform transform{.softcap = 4.0, .temperature = 0.8};
  const MemoryEfficientOptions options{.chunks = {.rows = 7}};
  const Tensor general = linear_token_statistics(layer.hidden, layer.head, tokens, transform, options);
  const Tensor fused = fused_linear_token_statistics(layer.hidden, layer.head, tokens, transform, options);
  EXPECT_EQ(fused.sizes(), (std::vector<std::int64_t>{29, 3}));
  EXPECT_LE(relative_error(fused, general), kFloatError);
  at::manual_seed(11);
  const Tensor upstream = at::randn({29, 3});
  const auto truth = ::torch::autograd::grad({general}, layer.tensors(), {upstream});
  const auto found = ::torch::autograd::grad({fused}, layer.tensors(), {upstream});
  for (std::size_t i = 0; i < truth.size(); ++i)
    EXPECT_LE(relative_error(found[i], truth[i]), kFloatError) << "tensor " << i;
}

TEST(FusedLosses, f64_is_sent_to_the_general_path) {
  const Layer layer(4, 8, 10, at::kDouble);
  try {
    fused_linear_cross_entropy(layer.hidden, layer.head, layer.labels);
    FAIL() << "expected a refusal";
  } catch (const c10::Error& error) {
    EXPECT_THAT(error.what(), ::testing::HasSubstr("the general path takes f64"));
  }
}

}  // namespace
}  // namespace assay::kernels::backprop
