// SPDX-License-Identifier: Apache-2.0
// With f64 tensors the eager version is the scalar oracle, whatever the scores go through.
#include "reference/attention/eager/attention.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <cmath>

#include "reference/attention/attention.hpp"

namespace assay::reference::attention {
namespace {

constexpr int kQueries = 9, kKeys = 11, kHeads = 6, kKeyHeads = 2, kSize = 5;

/// [h, n, d] as the oracle's [n, h, d].
std::vector<double> by_rows(const at::Tensor& heads) {
  const at::Tensor rows = heads.transpose(0, 1).contiguous();
  return {rows.const_data_ptr<double>(), rows.const_data_ptr<double>() + rows.numel()};
}

void expect_same(const char* what, const std::vector<double>& found, const std::vector<double>& truth) {
  ASSERT_EQ(found.size(), truth.size()) << what;
  double norm = 0.0, error = 0.0;
  for (std::size_t i = 0; i < truth.size(); ++i)
    norm += truth[i] * truth[i], error += (found[i] - truth[i]) * (found[i] - truth[i]);
  EXPECT_LE(std::sqrt(error), 1e-13 * std::sqrt(norm)) << what;
  EXPECT_GT(norm, 0.0) << what;
}

void expect_the_oracle(const eager::Scores& scores, const Mods& mods) {
  const auto options = at::TensorOptions().dtype(at::kDouble);
  const at::Tensor q = at::randn({kHeads, kQueries, kSize}, options), d_o = at::randn(q.sizes(), options),
                   k = at::randn({kKeyHeads, kKeys, kSize}, options), v = at::randn(k.sizes(), options);
  const Shape shape{{0, kQueries}, {0, kKeys}, kHeads, kKeyHeads, kSize, scores.scale};
  const eager::Output out = eager::forward(q, k, v, scores);
  const Output truth = attention::forward(shape, mods, by_rows(q), by_rows(k), by_rows(v));
  expect_same("o", by_rows(out.o), truth.o);
  expect_same("lse", by_rows(out.lse.unsqueeze(2)), truth.lse);
  const eager::Gradients g = eager::backward(q, k, v, d_o, scores);
  const Gradients expected =
      attention::backward(shape, mods, by_rows(q), by_rows(k), by_rows(v), by_rows(d_o), {}, {});
  expect_same("d_q", by_rows(g.q), expected.q);
  expect_same("d_k", by_rows(g.k), expected.k);
  expect_same("d_v", by_rows(g.v), expected.v);
}

TEST(EagerAttention, plain_scores_are_the_oracles) {
  expect_the_oracle({.scale = 0.7}, {});
}

TEST(EagerAttention, a_mask_is_the_oracles) {
  const at::Tensor visible = at::ones({kQueries, kKeys}, at::kBool).tril(2);
  expect_the_oracle({.scale = 0.7, .visible = visible},
                    {.score = {}, .mask = [](int, int, int i, int j) { return j <= i + 2; }});
}

TEST(EagerAttention, softcap_and_slopes_are_the_oracles) {
  const at::Tensor slopes = at::arange(1, kHeads + 1, at::TensorOptions().dtype(at::kDouble)) * 0.125;
  const auto score = [](double x, int, int h, int i, int j) {
    const double t = std::tanh(x / 1.5);
    return Score{1.5 * t + 0.125 * (h + 1) * (j - i), 1.0 - t * t, {}};
  };
  expect_the_oracle({.scale = 1.1, .softcap = 1.5, .slopes = slopes}, {.score = score, .mask = {}});
}

/// In 16 bits the scores are rounded, and only then summed in f32.
TEST(EagerAttention, scores_of_bf16_tensors_are_bf16) {
  const at::Tensor one = at::ones({1, 1, 1}, at::kBFloat16);
  const eager::Output out = eager::forward(
      one, at::tensor({1.0 + 1.0 / 128}).view({1, 1, 1}).to(at::kBFloat16), one, {.scale = 1.0 + 1.0 / 64});
  EXPECT_EQ(out.lse.scalar_type(), at::kFloat);
  EXPECT_EQ(out.lse.item<float>(), 1.0f + 3.0f / 128);  // 1.0235, of which bf16 keeps seven bits
}

}  // namespace
}  // namespace assay::reference::attention
