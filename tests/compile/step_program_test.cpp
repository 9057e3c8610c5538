// SPDX-License-Identifier: Apache-2.0
// The step's list of operations against the plain model differentiated by autograd: loss, every adapter's
// gradient, every policy of what is kept, packed sequences, an NF4 base, AdamW.
#include <ATen/TensorOperators.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <limits>
#include <stdexcept>
#include <utility>

#include "tests/compile/step_problem.hpp"

namespace assay::testing {
namespace {

using at::Tensor;
using kernels::compile::EagerStep;
using kernels::compile::Keep;
using kernels::compile::StepOptions;

constexpr Keep kPolicies[] = {Keep::kEverything, Keep::kProducts, Keep::kAttention, Keep::kInput};

void expect_near(const Tensor& found, const Tensor& wanted, double relative, const std::string& what) {
  ASSERT_EQ(found.numel(), wanted.numel()) << what;
  const double size = wanted.norm().item<double>();
  ASSERT_GT(size, 0.0) << what << ": a gradient of zeros shows nothing";
  EXPECT_LE((found - wanted.view(found.sizes())).norm().item<double>(), relative * size) << what;
}

void expect_gradients(Problem& p, const EagerStep& step, double relative) {
  for (std::size_t i = 0; i < p.model.layers.size(); ++i) {
    const std::string prefix = "layers." + std::to_string(i) + ".";
    for (const auto& [name, of] : linears_of(p.model.layers[i]))
      expect_near(step.tensor(prefix + name + ".lora_B.gradient"), of.linear->lora->b.grad(), relative,
                  prefix + name);
    for (const char* group : {"qkv", "o", "gate_up", "down"})
      expect_near(step.tensor(prefix + group + ".lora_A.gradient"), stacked_a(p.model.layers[i], group, true),
                  relative, prefix + group);
  }
}

TEST(StepProgram, loss_and_gradients_are_those_of_the_plain_model) {
  for (const bool tied : {false, true}) {
    Problem p = problem(tied);
    const double loss = plain_loss(p);
    EagerStep step = step_of(p, Keep::kEverything);
    step.run();
    EXPECT_NEAR(step.tensor("loss").item<double>(), loss, 1e-5 * loss);
    expect_gradients(p, step, 2e-5);
  }
}

TEST(StepProgram, base_products_may_begin_the_sums_as_well) {
  Problem p = problem(false);
  plain_loss(p);
  StepOptions options = options_of(p, Keep::kProducts, false);
  options.adapters_begin = false;
  EagerStep step = step_of(p, Keep::kProducts, at::kFloat, false, [&](kernels::compile::Program& program) {
    program = kernels::compile::step_program(options);
  });
  step.run();
  expect_gradients(p, step, 2e-5);
}

/// The comparison is compared: each of these faults of a list must show.
TEST(StepProgram, faults_in_the_list_are_seen_in_the_gradients) {
  using kernels::compile::Op;
  using kernels::compile::OpKind;
  using kernels::compile::Program;
  const auto in_every = [](OpKind kind, const std::function<void(Op&)>& change) {
    return [=](Program& program) {
      for (Op& op : program.ops)
        if (op.kind == kind)
          change(op);
    };
  };
  const std::map<std::string, std::function<void(Program&)>> faults = {
      {"rope not turned back", in_every(OpKind::kRope, [](Op& op) { op.reversed = false; })},
      {"residual gradient dropped",
       in_every(OpKind::kRmsNormBackward,
                [](Op& op) { op.in.resize(std::min<std::size_t>(op.in.size(), 4)); })},
      {"gate and up exchanged",
       in_every(OpKind::kSwigluBackward, [](Op& op) { std::swap(op.out[0], op.out[1]); })},
      {"keys and values exchanged",
       in_every(OpKind::kAttentionBackward, [](Op& op) { std::swap(op.out[1], op.out[2]); })},
      {"adapter's scale left out", in_every(OpKind::kMatmul, [](Op& op) { op.alpha = 1.0f; })},
      {"sums begun again", in_every(OpKind::kMatmul, [](Op& op) { op.beta = 0.0f; })},
  };
  Problem p = problem(false);
  plain_loss(p);
  EagerStep right = step_of(p, Keep::kEverything);
  right.run();
  EXPECT_LT(worst_gradient(p, right), 2e-5);
  for (const auto& [name, change] : faults) {
    EagerStep step = step_of(p, Keep::kEverything, at::kFloat, false, change);
    step.run();
    EXPECT_FALSE(worst_gradient(p, step) < 1e-3) << name;
  }
}

TEST(StepProgram, the_arena_of_an_8b_step_is_what_the_estimate_says) {
  StepOptions options;
  options.shape = {.layers = 32,
                   .hidden = 4096,
                   .intermediate = 14336,
                   .heads = 32,
                   .kv_heads = 8,
                   .head_dim = 128,
                   .vocab = 128256};
  options.tokens = 4096, options.sequences = 2;
  for (const Keep keep : kPolicies) {
    options.keep = keep;
    const auto lives = kernels::compile::arena_lives(kernels::compile::step_program(options), 2);
    const auto plan = kernels::compile::plan_arena(lives.lives);
    const auto estimate =
        kernels::compile::estimate_step(options.shape, {.count = 4096, .sequence = 2048}, keep, 1024);
    const double wanted = static_cast<double>(estimate.kept + estimate.layer + estimate.decoded);
    // The estimate keeps everything of a layer to the end of its backward; the arena lets go of it on the
    // way.
    EXPECT_LE(static_cast<double>(plan.bytes), wanted) << static_cast<int>(keep);
    EXPECT_GE(static_cast<double>(plan.bytes), 0.8 * wanted) << static_cast<int>(keep);
    EXPECT_LE(static_cast<double>(plan.bytes), 1.03 * static_cast<double>(plan.most_alive));
    std::printf("[ 8B, policy %d ] arena %.2f GiB, alive at most %.2f, estimate %.2f, %zu operations\n",
                static_cast<int>(keep), static_cast<double>(plan.bytes) / (1 << 30),
                static_cast<double>(plan.most_alive) / (1 << 30), wanted / (1 << 30),
                kernels::compile::step_program(options).ops.size());
  }
}

TEST(StepProgram, each_layer_that_keeps_less_gives_its_share_of_the_arena) {
  StepOptions options;
  options.shape = {.layers = 8,
                   .hidden = 512,
                   .intermediate = 1792,
                   .heads = 8,
                   .kv_heads = 2,
                   .head_dim = 64,
                   .vocab = 1024};
  options.tokens = 1024, options.sequences = 2;
  std::vector<double> bytes;
  for (std::int64_t lean = 0; lean <= options.shape.layers; ++lean) {
    options.keep_by_layer = kernels::compile::keep_less_first(8, lean, Keep::kAttention, Keep::kProducts);
    const auto lives = kernels::compile::arena_lives(kernels::compile::step_program(options), 2);
    bytes.push_back(static_cast<double>(kernels::compile::plan_arena(lives.lives).bytes));
  }
  // Seven of eight, as backward of a last layer that keeps less makes its values again on top of all kept.
  const double share = static_cast<double>((kernels::compile::kept_bytes(options.shape, Keep::kProducts) -
                                            kernels::compile::kept_bytes(options.shape, Keep::kAttention)) *
                                           options.tokens);
  for (std::size_t lean = 1; lean < 8; ++lean)
    EXPECT_NEAR(bytes[lean - 1] - bytes[lean], share, 0.1 * share) << lean;
  EXPECT_LE(bytes[8], bytes[7]);
}

TEST(StepProgram, policies_for_another_number_of_layers_are_refused) {
  StepOptions options = options_of(problem(false), Keep::kEverything, false);
  options.keep_by_layer = {Keep::kInput};
  EXPECT_THROW(kernels::compile::step_program(options), std::invalid_argument);
  EXPECT_THROW(kernels::compile::keep_less_first(4, 5, Keep::kInput, Keep::kEverything),
               std::invalid_argument);
  EXPECT_THROW(kernels::compile::keep_less_first(4, -1, Keep::kInput, Keep::kEverything),
               std::invalid_argument);
}

TEST(StepProgram, what_is_made_again_has_the_bits_it_had) {
  Problem p = problem(false);
  EagerStep whole = step_of(p, Keep::kEverything);
  whole.run();
  std::size_t before = whole.arena_bytes();
  for (const Keep keep : {Keep::kProducts, Keep::kAttention, Keep::kInput}) {
    EagerStep step = step_of(p, keep);
    step.run();
    for (const char* name : {"loss", "layers.0.qkv.lora_A.gradient", "layers.0.q_proj.lora_B.gradient",
                             "layers.1.gate_up.lora_A.gradient", "layers.1.down_proj.lora_B.gradient"})
      EXPECT_TRUE(step.tensor(name).equal(whole.tensor(name))) << name;
    EXPECT_LE(step.arena_bytes(), before);
    before = step.arena_bytes();
  }
}

TEST(StepProgram, sixteen_bits_are_near) {
  Problem p = problem(false);
  const double loss = plain_loss(p);
  for (const Keep keep : kPolicies) {
    EagerStep step = step_of(p, keep, at::kBFloat16);
    step.run();
    EXPECT_NEAR(step.tensor("loss").item<double>(), loss, 0.03 * loss);
    expect_gradients(p, step, 0.15);
  }
}

TEST(StepProgram, a_packed_base_is_decoded_where_it_is_used) {
  Problem p = problem(false, /*four_bit=*/true);
  const double loss = plain_loss(p);
  for (const Keep keep : kPolicies) {
    EagerStep step = step_of(p, keep, at::kFloat, /*packed=*/true);
    step.run();
    EXPECT_NEAR(step.tensor("loss").item<double>(), loss, 1e-5 * loss);
    expect_gradients(p, step, 2e-5);
  }
}

TEST(StepProgram, a_token_sees_its_own_sequence_only) {
  Problem p = problem(false);
  EagerStep step = step_of(p, Keep::kEverything);
  step.bind("settings", at::tensor({0.0f, 1.0f, 0.0f, 0.0f}));  // nothing moves between the two
  p.labels.slice(0, kLengths[0]).fill_(-100);                   // the first sequence alone counts
  step.run();
  const double before = step.tensor("loss").item<double>();
  p.tokens.slice(0, kLengths[0]).fill_(3);
  step.run();
  EXPECT_EQ(step.tensor("loss").item<double>(), before);
}

TEST(StepProgram, adamw_moves_every_adapter_as_its_formula_says) {
  Problem p = problem(false);
  for (const float largest : {0.0f, 1e-3f}) {
    EagerStep step = step_of(p, Keep::kEverything);
    step.bind("settings", at::tensor({1e-2f, 1.0f, 0.1f, largest}));
    const std::string name = "layers.1.o.lora_A";
    const Tensor before = step.tensor(name).clone();
    step.run();
    Tensor gradient = step.tensor(name + ".gradient");
    if (largest > 0)
      gradient = gradient * (largest / (step.tensor("square_sum").sqrt() + 1e-6)).clamp_max(1).squeeze();
    // First step: both moments are corrected to the gradient and its square.
    const Tensor wanted = before * (1 - 1e-2 * 0.1) - 1e-2 * gradient / (gradient.abs() + 1e-8);
    expect_near(step.tensor(name), wanted, 1e-6, name);
    EXPECT_TRUE(step.tensor(name + ".copy").equal(step.tensor(name)));
  }
}

TEST(StepProgram, gradients_that_are_not_finite_move_nothing) {
  Problem p = problem(false);
  p.model.norm.fill_(std::numeric_limits<float>::quiet_NaN());
  EagerStep step = step_of(p, Keep::kEverything);
  step.bind("settings", at::tensor({1e-2f, 1.0f, 0.1f, 1.0f}));
  const Tensor before = step.tensor("layers.1.o.lora_A").clone();
  step.run();
  EXPECT_TRUE(step.tensor("square_sum").isnan().item<bool>());
  EXPECT_TRUE(step.tensor("layers.1.o.lora_A").equal(before));
}

TEST(StepProgram, steps_make_the_loss_fall) {
  Problem p = problem(false);
  EagerStep step = step_of(p, Keep::kAttention);
  const Tensor settings = at::tensor({2e-2f, 1.0f, 0.0f, 1.0f});
  step.bind("settings", settings);
  step.run();
  const double first = step.tensor("loss").item<double>();
  for (int i = 2; i <= 20; ++i) {
    settings[1] = static_cast<float>(i);
    step.run();
  }
  EXPECT_LT(step.tensor("loss").item<double>(), 0.7 * first);
}

TEST(StepProgram, shapes_that_do_not_fit_are_refused) {
  const Problem p = problem(false);
  const auto with = [&](const std::function<void(StepOptions&)>& change) {
    StepOptions options = options_of(p, Keep::kInput, false);
    change(options);
    return options;
  };
  for (const auto& options :
       {with([](StepOptions& o) { o.sequences = 0; }), with([](StepOptions& o) { o.tokens = 0; }),
        with([](StepOptions& o) { o.shape.kv_heads = 4; }),
        with([](StepOptions& o) { o.shape.head_dim = 7; })})
    EXPECT_THROW(kernels::compile::step_program(options), std::invalid_argument);
}

TEST(StepProgram, buffers_without_a_tensor_are_named) {
  Problem p = problem(false);
  EagerStep step(kernels::compile::step_program(options_of(p, Keep::kEverything, false)), at::kFloat);
  try {
    step.run();
    FAIL() << "ran without tokens";
  } catch (const c10::Error& error) {
    EXPECT_NE(std::string(error.what()).find("bind it"), std::string::npos);
  }
  EXPECT_THROW(step.bind("tokens", at::zeros({3}, at::kLong)), c10::Error);
  EXPECT_THROW(step.bind("norm", at::zeros({p.model.config.hidden_size}, at::kHalf)), c10::Error);
}

}  // namespace
}  // namespace assay::testing
