// SPDX-License-Identifier: Apache-2.0
#include "kernels/backprop/autograd/memory_efficient_linear.hpp"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernels/backprop/autograd/losses.hpp"
#include "kernels/backprop/autograd/testing.hpp"
#include "kernels/torch/nf4_dequantize.hpp"

namespace assay::kernels::backprop {
namespace {

using namespace testing;  // NOLINT: the helpers of these tests

constexpr double kUpstream = 3.7;
constexpr double kDoubleError = 1e-13;

MemoryEfficientOptions rows_a_chunk(std::int64_t rows, Reduction reduction = Reduction::kMean) {
  return {.reduction = reduction, .chunks = {.rows = rows}};
}

void expect_near(const std::vector<Tensor>& found, const std::vector<Tensor>& truth, double limit) {
  ASSERT_EQ(found.size(), truth.size());
  for (std::size_t i = 0; i < found.size(); ++i)
    EXPECT_LE(relative_error(found[i], truth[i]), limit) << "tensor " << i;
}

TEST(MemoryEfficientLinear, every_chunking_gives_the_plain_loss_and_gradients) {
  const Layer layer(37, 16, 101, at::kDouble);
  const Tensor plain = plain_cross_entropy(layer);
  const auto truth = gradients(plain, layer.tensors(), kUpstream);
  for (const std::int64_t rows : {1, 5, 36, 37, 1000}) {
    const Tensor loss = memory_efficient_linear(layer.hidden, layer.head, row_cross_entropy, {layer.labels},
                                                {}, rows_a_chunk(rows));
    EXPECT_LE(relative_error(loss, plain), kDoubleError) << rows;
    expect_near(gradients(loss, layer.tensors(), kUpstream), truth, kDoubleError);
  }
}

TEST(MemoryEfficientLinear, sums_rows_and_leading_extents_are_the_plain_ones) {
  Layer layer(30, 8, 40, at::kDouble);
  const Tensor rows = at::cross_entropy_loss(layer.logits(), layer.labels, std::nullopt, at::Reduction::None);
  const Tensor weights = at::randn({5, 6}, at::kDouble);
  const auto truth = gradients(rows.mul(weights.view({-1})).sum(), layer.tensors(), 1.0);

  const Tensor hidden = layer.hidden.view({5, 6, 8});
  const auto values =
      memory_efficient_linear(hidden, layer.head, row_cross_entropy, {layer.labels.view({5, 6})}, {},
                              rows_a_chunk(7, Reduction::kRows));
  EXPECT_EQ(values.sizes(), weights.sizes());
  EXPECT_LE(relative_error(values.view({-1}), rows), kDoubleError);
  expect_near(gradients(values.mul(weights).sum(), layer.tensors(), 1.0), truth, kDoubleError);

  const auto weighted = [](const Chunk& chunk) { return row_cross_entropy(chunk).mul(chunk.rows[1]).sum(); };
  const Tensor sum =
      memory_efficient_linear(hidden, layer.head, weighted, {layer.labels.view({5, 6}), weights}, {},
                              rows_a_chunk(7, Reduction::kSum));
  EXPECT_EQ(sum.dim(), 0);
  expect_near(gradients(sum, layer.tensors(), 1.0), truth, kDoubleError);
}

TEST(MemoryEfficientLinear, rows_that_do_not_count_are_dropped_before_the_product) {
  const Layer layer(23, 8, 40, at::kDouble);
  const Tensor counts = at::arange(23).remainder(3).ne(0);
  const Tensor labels = layer.labels.masked_fill(counts.logical_not(), -100);
  const Tensor plain = at::cross_entropy_loss(layer.logits(), labels);
  std::int64_t seen = 0;
  const auto watched = [&seen](const Chunk& chunk) {
    seen += chunk.logits.size(0);
    return row_cross_entropy(chunk);
  };
  auto options = rows_a_chunk(4);
  options.counts = counts;
  const Tensor loss = memory_efficient_linear(layer.hidden, layer.head, watched, {labels}, {}, options);
  EXPECT_EQ(seen, counts.sum().item<std::int64_t>());
  EXPECT_LE(relative_error(loss, plain), kDoubleError);
  expect_near(gradients(loss, layer.tensors(), kUpstream), gradients(plain, layer.tensors(), kUpstream),
              kDoubleError);
}

TEST(MemoryEfficientLinear, no_row_that_counts_gives_zeros) {
  const Layer layer(4, 8, 10, at::kFloat);
  auto options = rows_a_chunk(2);
  options.counts = at::zeros({4}, at::kBool);
  const Tensor loss =
      memory_efficient_linear(layer.hidden, layer.head, row_cross_entropy, {layer.labels}, {}, options);
  EXPECT_EQ(loss.item<float>(), 0.0f);
  for (const Tensor& gradient : gradients(loss, layer.tensors(), 1.0))
    EXPECT_EQ(gradient.abs().max().item<float>(), 0.0f);
}

TEST(MemoryEfficientLinear, backward_twice_gives_the_same_and_a_second_call_starts_anew) {
  const Layer layer(12, 8, 30, at::kDouble);
  const auto truth = gradients(plain_cross_entropy(layer), layer.tensors(), kUpstream);
  for (int call = 0; call < 2; ++call) {
    const Tensor loss = memory_efficient_linear(layer.hidden, layer.head, row_cross_entropy, {layer.labels},
                                                {}, rows_a_chunk(5));
    const Tensor upstream = at::full_like(loss, kUpstream);
    expect_near(::torch::autograd::grad({loss}, layer.tensors(), {upstream}, true), truth, kDoubleError);
    expect_near(::torch::autograd::grad({loss}, layer.tensors(), {upstream}), truth, kDoubleError);
  }
}

TEST(MemoryEfficientLinear, a_frozen_head_gets_no_gradient_and_evaluation_makes_none) {
  Layer layer(9, 8, 30, at::kDouble);
  const auto truth = gradients(plain_cross_entropy(layer), {layer.hidden}, 1.0);
  for (Tensor* t : {&layer.head.weight, &layer.head.bias, &layer.head.lora_a, &layer.head.lora_b})
    *t = t->detach();
  const Tensor loss = memory_efficient_linear(layer.hidden, layer.head, row_cross_entropy, {layer.labels}, {},
                                              rows_a_chunk(4));
  expect_near(gradients(loss, {layer.hidden}, 1.0), truth, kDoubleError);

  const at::AutoGradMode no_gradients(false);
  const auto watched = [](const Chunk& chunk) {
    EXPECT_FALSE(chunk.logits.requires_grad());
    return row_cross_entropy(chunk);
  };
  const Tensor value =
      memory_efficient_linear(layer.hidden, layer.head, watched, {layer.labels}, {}, rows_a_chunk(4));
  EXPECT_FALSE(value.requires_grad());
  EXPECT_LE(relative_error(value, loss), kDoubleError);
}

class In16Bits : public ::testing::TestWithParam<at::ScalarType> {};

TEST_P(In16Bits, errors_are_those_of_the_plain_version_in_the_same_precision) {
  const Layer layer(64, 48, 700, GetParam());
  const Layer exact = layer.to(at::kDouble);
  const auto truth = gradients(plain_cross_entropy(exact), exact.tensors(), kUpstream);
  const Tensor plain_loss = at::cross_entropy_loss(layer.logits().to(at::kFloat), layer.labels);
  const auto plain = gradients(plain_loss, layer.tensors(), kUpstream);
  const auto watched = [](const Chunk& chunk) {
    EXPECT_EQ(chunk.logits.scalar_type(), at::kFloat);
    return row_cross_entropy(chunk);
  };
  const Tensor loss =
      memory_efficient_linear(layer.hidden, layer.head, watched, {layer.labels}, {}, rows_a_chunk(24));
  const auto found = gradients(loss, layer.tensors(), kUpstream);
  for (std::size_t i = 0; i < truth.size(); ++i) {
    EXPECT_EQ(found[i].scalar_type(), GetParam());
    EXPECT_LE(relative_error(found[i], truth[i]), 1.5 * relative_error(plain[i], truth[i])) << "tensor " << i;
  }
}

TEST_P(In16Bits, several_chunks_share_a_product_with_the_gradient_of_the_weight) {
  Layer layer(4500, 8, 24, GetParam());
  MemoryEfficientOptions automatic;
  automatic.counts = at::arange(4500).remainder(50).ne(0);  // 4410 rows: batches of 1024, the last one of 314
  MemoryEfficientOptions single = automatic;
  single.chunks.rows = 512;
  std::vector<std::int64_t> seen;
  const auto watched = [&seen](const Chunk& chunk) {
    seen.push_back(chunk.logits.size(0));
    return row_cross_entropy(chunk);
  };
  const auto found =
      gradients(memory_efficient_linear(layer.hidden, layer.head, watched, {layer.labels}, {}, automatic),
                layer.tensors(), 1.0);
  EXPECT_EQ(seen, (std::vector<std::int64_t>{512, 512, 512, 512, 512, 512, 512, 512, 314}));
  const auto truth = gradients(
      memory_efficient_linear(layer.hidden, layer.head, row_cross_entropy, {layer.labels}, {}, single),
      layer.tensors(), 1.0);
  const double one_rounding =
      GetParam() == at::kHalf ? 0x1p-11 : 0x1p-8;  // of dW's f32 sums, in another order
  expect_near(found, truth, one_rounding);
  EXPECT_LE(relative_error(found[0], truth[0]), 1e-7) << "dX knows no batches";
}

INSTANTIATE_TEST_SUITE_P(MemoryEfficientLinear, In16Bits, ::testing::Values(at::kHalf, at::kBFloat16),
                         [](const auto& tested) { return std::string(c10::toString(tested.param)); });

TEST(MemoryEfficientLinear, small_upstream_gradients_do_not_vanish_in_f16) {
  const Layer layer(64, 32, 500, at::kHalf);
  const Layer exact = layer.to(at::kDouble);
  constexpr double kTiny =
      0x1p-6;  // the plain version's logit gradients, p/64/64, fall below f16's smallest number
  const auto truth = gradients(plain_cross_entropy(exact), {exact.hidden}, kTiny);
  for (const Reduction reduction : {Reduction::kMean, Reduction::kRows}) {
    Tensor loss = memory_efficient_linear(layer.hidden, layer.head, row_cross_entropy, {layer.labels}, {},
                                          rows_a_chunk(24, reduction));
    if (reduction == Reduction::kRows)
      loss = loss.mean();
    const Tensor found = gradients(loss.mul(1024.0), {layer.hidden}, kTiny)[0].to(at::kDouble).div(1024.0);
    EXPECT_LE(relative_error(found, truth[0]), 2e-3);
  }
}

TEST(MemoryEfficientLinear, a_packed_head_is_its_decoded_weight) {
  Layer layer(10, 64, 96, at::kBFloat16);
  at::manual_seed(3);
  PackedWeight packed{.packed = at::randint(256, {96 * 64 / 2}, at::kByte),
                      .absmax = at::rand({96}).add(0.1),
                      .vocab = 96,
                      .hidden = 64};
  LinearHead decoded = layer.head, four_bit = layer.head;
  decoded.weight =
      torch::dequantize(packed.packed, packed.absmax, {96, 64}, at::kBFloat16, 64, "nf4", {}, {}, {}, 256);
  four_bit.weight = Tensor();
  four_bit.packed = packed;
  const std::vector<Tensor> of{layer.hidden, layer.head.bias, layer.head.lora_a, layer.head.lora_b};
  const auto run = [&](const LinearHead& head) {
    return gradients(
        memory_efficient_linear(layer.hidden, head, row_cross_entropy, {layer.labels}, {}, rows_a_chunk(4)),
        of, 1.0);
  };
  const auto truth = run(decoded), found = run(four_bit);
  for (std::size_t i = 0; i < of.size(); ++i) EXPECT_TRUE(found[i].equal(truth[i])) << "tensor " << i;
}

TEST(MemoryEfficientLinear, a_teacher_is_streamed_in_f32_and_gets_no_gradient) {
  const Layer layer(11, 8, 30, at::kBFloat16), other(11, 16, 30, at::kBFloat16, at::kCPU, 7);
  const Tensor expected = other.to(at::kFloat).logits().detach();
  std::int64_t seen = 0;
  const auto watched = [&](const Chunk& chunk) {
    EXPECT_EQ(chunk.teachers[0].scalar_type(), at::kFloat);
    EXPECT_FALSE(chunk.teachers[0].requires_grad());
    const std::int64_t rows = chunk.logits.size(0);
    EXPECT_LE(relative_error(chunk.teachers[0], expected.narrow(0, seen, rows)), 5e-3);
    seen += rows;
    return chunk.logits.sub(chunk.teachers[0]).square().sum(1);
  };
  const Tensor loss = memory_efficient_linear(layer.hidden, layer.head, watched, {},
                                              {{other.hidden, other.head}}, rows_a_chunk(4));
  EXPECT_EQ(seen, 11);
  loss.backward();
  EXPECT_FALSE(other.hidden.grad().defined());
  EXPECT_FALSE(other.head.weight.grad().defined());
  EXPECT_TRUE(layer.hidden.grad().defined());
}

template <class Call>
void expect_refused(const Call& call, const char* words) {
  try {
    call();
    FAIL() << "expected a refusal with '" << words << "'";
  } catch (const c10::Error& error) {
    EXPECT_THAT(error.what(), ::testing::HasSubstr(words));
  }
}

TEST(MemoryEfficientLinear, wrong_arguments_are_refused_with_what_was_expected) {
  const Layer layer(6, 8, 10, at::kFloat);
  const auto call = [&](const LinearHead& head, const RowFunction& function, const std::vector<Tensor>& rows,
                        MemoryEfficientOptions options = {}) {
    memory_efficient_linear(layer.hidden, head, function, rows, {}, options);
  };
  LinearHead wide = layer.head, other_type = layer.head, half_adapter = layer.head;
  wide.weight = at::zeros({10, 9});
  other_type.weight = layer.head.weight.to(at::kBFloat16);
  half_adapter.lora_b = Tensor();
  const std::vector<Tensor> labels{layer.labels};
  expect_refused([&] { call(wide, row_cross_entropy, labels); }, "expected weight of shape");
  expect_refused([&] { call(other_type, row_cross_entropy, labels); }, "of one type");
  expect_refused([&] { call(half_adapter, row_cross_entropy, labels); }, "both lora_a and lora_b");
  expect_refused([&] { call({}, row_cross_entropy, labels); }, "found neither");
  expect_refused([&] { call(layer.head, nullptr, labels); }, "found an empty one");
  expect_refused([&] { call(layer.head, row_cross_entropy, {at::zeros({5}, at::kLong)}); }, "row argument 0");
  expect_refused([&] { call(layer.head, row_cross_entropy, {at::zeros({6}).requires_grad_()}); },
                 "without a gradient");
  const auto halves = [](const Chunk& chunk) { return chunk.logits.sum(1).to(at::kHalf); };
  expect_refused([&] { call(layer.head, halves, {}); }, "f32");
  const auto matrix = [](const Chunk& chunk) { return chunk.logits.t(); };
  expect_refused([&] { call(layer.head, matrix, {}); }, "one value");
  expect_refused([&] { call(layer.head, row_cross_entropy, labels, {.counts = at::zeros({6})}); },
                 "counts as bool");
}

TEST(MemoryEfficientLinear, a_reference_policy_over_another_vocabulary_is_refused) {
  const Layer policy(6, 8, 40, at::kFloat), other(6, 8, 50, at::kFloat), longer(8, 8, 40, at::kFloat);
  const auto loss = [&](const Layer& reference) {
    GrpoRows rows{policy.labels.view({2, 3}), at::ones({2, 3}, at::kBool), at::ones({2}), {}, {}, {}};
    rows.reference = Teacher{reference.hidden, reference.head};
    return linear_grpo(policy.hidden.view({2, 3, 8}), policy.head, rows);
  };
  EXPECT_TRUE(loss(policy).isfinite().item<bool>());
  EXPECT_THROW(loss(other), c10::Error);
  EXPECT_THROW(loss(longer), c10::Error);
}

TEST(MemoryEfficientLinear, a_second_derivative_is_refused) {
  const Layer layer(6, 8, 10, at::kDouble);
  const Tensor loss = memory_efficient_linear(layer.hidden, layer.head, row_cross_entropy, {layer.labels}, {},
                                              rows_a_chunk(4));
  expect_refused([&] { ::torch::autograd::grad({loss}, {layer.hidden}, {}, true, true); },
                 "differentiable once");
}

}  // namespace
}  // namespace assay::kernels::backprop
