// SPDX-License-Identifier: Apache-2.0
// Against the whole matrices: lookups to the bit, losses and gradients near, for ranks with unequal tokens,
// uneven rows and ranks that own no row at all.
#include "kernels/fsdp/engine/sharded_vocabulary.hpp"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include "kernels/compile/eager/operations.hpp"
#include "kernels/fsdp/group/processes_test.hpp"

namespace assay::kernels::fsdp {
namespace {

using at::Tensor;

struct Inputs {
  Tensor embedding, head, tokens, labels, h;
};

/// The matrices are everyone's, the tokens the rank's own.
Inputs inputs(std::int64_t vocabulary, int rank) {
  const std::int64_t hidden = 24, count = 5 + 3 * rank;
  const at::Generator shared = at::detail::createCPUGenerator(1),
                      own = at::detail::createCPUGenerator(10 + rank);
  Inputs in;
  in.embedding = at::randn({vocabulary, hidden}, shared, at::kFloat);
  in.head = at::randn({vocabulary, hidden}, shared, at::kFloat);
  in.tokens = at::randint(vocabulary, {count}, own, at::kLong);
  in.labels = at::randint(vocabulary, {count}, own, at::kLong);
  in.labels[1] = -100;
  if (rank == 1)
    in.labels.fill_(-100);
  in.h = at::randn({count, hidden}, own, at::kFloat) * 3;
  return in;
}

void compare(const RankContext& context, std::int64_t vocabulary, bool tied) {
  const Inputs in = inputs(vocabulary, context.rank);
  const Tensor& head = tied ? in.embedding : in.head;
  ShardedVocabulary sharded(
      {.vocabulary = vocabulary, .hidden = 24, .tokens = in.tokens.numel(), .tied = tied}, at::kFloat,
      context.group());
  sharded.load_embedding(in.embedding);
  if (!tied)
    sharded.load_head(in.head);

  Tensor x = at::empty_like(in.h);
  sharded.embed(in.tokens, x);
  require(x.equal(at::embedding(in.embedding, in.tokens)), "expected the lookup's bits");

  Tensor loss = at::zeros({1}), dh = at::empty_like(in.h), wanted_loss = at::zeros({1}),
         wanted = at::empty_like(in.h);
  sharded.head_loss(in.h, in.labels, loss, dh);
  compile::eager::head_loss(in.h, head, in.labels, wanted_loss.squeeze(0), wanted);
  require(std::abs(loss.item<double>() - wanted_loss.item<double>()) <= 1e-6 * wanted_loss.item<double>(),
          "expected loss " + std::to_string(wanted_loss.item<double>()) + ", found " +
              std::to_string(loss.item<double>()));
  require((dh - wanted).norm().item<double>() <= 2e-6 * wanted.norm().item<double>(),
          "expected the whole head's gradient");
}

TEST(ShardedVocabulary, lookups_have_the_whole_matrix_bits_and_losses_its_values) {
  for (const int world : {1, 2, 3, 4})
    for (const bool tied : {false, true})
      expect_all_ok(in_processes(world, [&](const RankContext& context) { compare(context, 101, tied); }));
}

TEST(ShardedVocabulary, ranks_without_rows_take_part) {
  expect_all_ok(
      in_processes(4, [](const RankContext& context) { compare(context, 5, false); }));  // 2, 2, 1, 0
}

TEST(ShardedVocabulary, large_logits_do_not_overflow) {
  expect_all_ok(in_processes(2, [](const RankContext& context) {
    ShardedVocabulary sharded({.vocabulary = 4, .hidden = 1, .tokens = 1}, at::kFloat, context.group());
    Tensor head = at::zeros({4, 1}, at::kFloat), h = at::zeros({1, 1}), labels = at::zeros({1}, at::kLong);
    head[3][0] = 1000.0f, h.fill_(100.0f);
    sharded.load_head(head);
    Tensor loss = at::zeros({1}), dh = at::empty_like(h);
    sharded.head_loss(h, labels, loss, dh);
    require(loss.item<float>() == 100000.0f,
            "expected the difference of the logits, found " + std::to_string(loss.item<float>()));
    require(dh.item<float>() == 1000.0f, "expected the other row");
  }));
}

TEST(ShardedVocabulary, a_matrix_of_another_shape_or_type_is_refused) {
  expect_all_ok(in_processes(1, [](const RankContext& context) {
    ShardedVocabulary sharded({.vocabulary = 4, .hidden = 2, .tokens = 1}, at::kFloat, context.group());
    int refused = 0;
    for (const Tensor& wrong : {at::zeros({4, 3}, at::kFloat), at::zeros({4, 2}, at::kBFloat16)}) {
      try {
        sharded.load_head(wrong);
      } catch (const c10::Error&) {
        ++refused;
      }
    }
    require(refused == 2, "expected both to be refused");
  }));
}

}  // namespace
}  // namespace assay::kernels::fsdp
