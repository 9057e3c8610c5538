// SPDX-License-Identifier: Apache-2.0
#include "kernels/compile/device/step_plan.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <stdexcept>
#include <vector>

#include "kernels/compile/device/head_loss.hpp"
#include "kernels/compile/device/tiny_step_test.hpp"

namespace assay::kernels::compile {
namespace {

using testing::first_op;
using ::testing::HasSubstr;
using testing::tiny_options;
using testing::tiny_program;

/// Arguments name addresses; nobody reads them here.
struct Placed {
  explicit Placed(Program program, PlanOptions options = {}) : plan(std::move(program), options) {
    plan.place(reinterpret_cast<std::byte*>(kBase));
    for (const Buffer& buffer : plan.program().buffers)
      if (buffer.role == Role::kFrozen && buffer.element != Element::kPacked)
        plan.bind(buffer.name, reinterpret_cast<void*>(kFrozenBase));
  }
  static constexpr std::uintptr_t kBase = 1 << 20, kFrozenBase = 1 << 12;
  StepPlan plan;
};

Program dense_program() {
  StepOptions options = tiny_options();
  options.packed_base = false;
  return step_program(options);
}

TEST(StepPlan, a_product_of_some_columns_has_the_rows_stride_of_all) {
  const Placed placed(dense_program());
  const BoundProgram& bound = placed.plan.bound();
  // y = s · u[:, member]·Bᵀ, to which the base product adds: the first product whose left side is a part.
  for (const Op& op : bound.program.ops) {
    if (op.kind != OpKind::kMatmul || op.in[0].columns == 0 || op.in[0].column == 0)
      continue;
    const MatmulArgs g = matmul_of(bound, op);
    EXPECT_EQ(g.m, 256);
    EXPECT_EQ(g.k, 8);
    EXPECT_EQ(g.lda, 24);
    EXPECT_EQ(static_cast<const std::byte*>(g.a) - bound.addresses[static_cast<std::size_t>(op.in[0].buffer)],
              2 * op.in[0].column);
    EXPECT_TRUE(g.transpose_b);
    EXPECT_EQ(g.beta, 0.0f);
    return;
  }
  FAIL() << "no product of some columns in the list";
}

TEST(StepPlan, products_into_gradients_are_f32) {
  const Placed placed(dense_program());
  const BoundProgram& bound = placed.plan.bound();
  int found = 0;
  for (const Op& op : bound.program.ops) {
    if (op.kind != OpKind::kMatmul)
      continue;
    const MatmulArgs g = placed.plan.with_workspace(matmul_of(bound, op));
    const bool is_gradient = bound.buffer(op.out[0]).role == Role::kGradient;
    EXPECT_EQ(g.out_type, is_gradient ? MatmulType::kFloat32 : MatmulType::kBfloat16);
    EXPECT_EQ(g.in_type, MatmulType::kBfloat16);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(g.workspace) % 256, 0u);
    EXPECT_EQ(g.choice, MatmulChoice::kTimed);
    found += is_gradient ? 1 : 0;
  }
  EXPECT_EQ(found, 2 * (7 + 4));  // B of seven linears, A of four groups, two layers
}

TEST(StepPlan, a_product_that_does_not_fit_is_refused) {
  Program program = dense_program();
  first_op(program, OpKind::kMatmul).transpose_b = false;
  const Placed placed(std::move(program));
  const BoundProgram& bound = placed.plan.bound();
  EXPECT_THROW(matmul_of(bound, first_op(const_cast<Program&>(bound.program), OpKind::kMatmul)),
               std::logic_error);
}

TEST(StepPlan, attention_sees_the_capacity_and_the_longest_sequence) {
  const Placed placed(dense_program(), {.longest_sequence = 130});
  const StepPlan& plan = placed.plan;
  const attention::Sequences s = plan.sequences();
  EXPECT_EQ(s.sequences, 3);
  EXPECT_EQ(s.q_heads, 4);
  EXPECT_EQ(s.kv_heads, 2);
  EXPECT_EQ(s.q_length, 130);
  EXPECT_EQ(s.q_rows, 256);
  EXPECT_FLOAT_EQ(s.scale, 0.125f);
  EXPECT_EQ(plan.head_type().head_size, 64);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(plan.block_mask().workspace) % 256, 0u);
  for (std::size_t i = 0; i < plan.program().ops.size(); ++i) {
    if (plan.program().ops[i].kind != OpKind::kAttentionBackward)
      continue;
    const attention::BackwardArgs args = plan.attention_backward_of(i);
    EXPECT_EQ(args.k.token_stride, 128);
    EXPECT_EQ(args.k.head_stride, 64);
    EXPECT_EQ(args.workspace_bytes, attention::backward_workspace_bytes(args));
  }
}

TEST(StepPlan, scratch_of_operations_is_theirs_alone) {
  const Placed placed(dense_program());
  const StepPlan& plan = placed.plan;
  const auto mask = plan.block_mask();
  const std::byte* const step_begin = plan.workspace();
  const std::byte* const step_end = static_cast<const std::byte*>(mask.workspace) + mask.bytes;
  const auto expect_apart = [&](const std::byte* begin, std::size_t bytes) {
    EXPECT_TRUE(begin + bytes <= step_begin || begin >= step_end);
    EXPECT_LE(begin + bytes, reinterpret_cast<const std::byte*>(Placed::kBase) + plan.layout().arena_bytes);
  };
  for (std::size_t i = 0; i < plan.program().ops.size(); ++i) {
    const Op& op = plan.program().ops[i];
    if (op.kind == OpKind::kAttentionBackward)
      expect_apart(plan.scratch(i), plan.attention_backward_of(i).workspace_bytes);
    if (op.kind == OpKind::kHeadLoss)
      expect_apart(plan.scratch(i), head_loss_scratch_bytes(head_loss_shape(plan.program(), op),
                                                            plan.chunk_rows(), ComputeType::kBfloat16));
  }
}

TEST(StepPlan, chunks_of_logits_are_those_of_the_chunk_plan) {
  EXPECT_EQ(StepPlan(tiny_program(), {}).chunk_rows(), 128);
  EXPECT_EQ(StepPlan(tiny_program(), {.chunk_rows = 77}).chunk_rows(), 77);
  EXPECT_EQ(head_loss_chunk({.rows = 4096, .hidden = 4096, .vocab = 128256}, 0), 1024);
  EXPECT_EQ(logits_stride(101), 104);
  EXPECT_EQ(logits_stride(128256), 128256);
  EXPECT_THROW(StepPlan(tiny_program(), {.chunk_rows = -1}), std::invalid_argument);
}

/// Everything of the step but the context: what the goals of 24 and 12 GiB are held against.
TEST(StepPlan, an_8b_step_takes_no_more_than_the_estimate) {
  StepOptions options;
  options.shape = {.layers = 32,
                   .hidden = 4096,
                   .intermediate = 14336,
                   .heads = 32,
                   .kv_heads = 8,
                   .head_dim = 128,
                   .vocab = 128256};
  options.tokens = 4096, options.sequences = 2;
  for (const auto& [keep, goal_gib] : {std::pair{Keep::kEverything, 24.0}, {Keep::kAttention, 12.0}}) {
    options.keep = keep;
    const StepPlan plan(step_program(options), {.longest_sequence = 2048});
    const StepEstimate e = estimate_step(options.shape, {.count = 4096, .sequence = 2048}, keep, 1024);
    const auto bytes = static_cast<double>(plan.layout().bytes) + static_cast<double>(e.base);
    EXPECT_LT(bytes, static_cast<double>(e.total()) + 64.0 * (1 << 20));
    EXPECT_LT(bytes, goal_gib * (1 << 30));
    std::printf("[ 8B, policy %d ] %.2f GiB with weights, arena %.2f\n", static_cast<int>(keep),
                bytes / (1 << 30), static_cast<double>(plan.layout().arena_bytes) / (1 << 30));
  }
}

TEST(StepPlan, what_attention_cannot_do_is_refused) {
  EXPECT_THROW(StepPlan(tiny_program(), {.compute = ComputeType::kFloat32}), std::invalid_argument);
  EXPECT_THROW(StepPlan(tiny_program(), {.longest_sequence = 257}), std::invalid_argument);
}

TEST(StepPlan, weights_are_bound_by_name_and_checked) {
  StepPlan plan(tiny_program(), {});
  const auto some = [](std::uintptr_t address) { return reinterpret_cast<const void*>(address); };
  EXPECT_FALSE(plan.bind("norm", some(0x1000)));
  EXPECT_FALSE(plan.bind("norm", some(0x1000))) << "the same memory again";
  EXPECT_TRUE(plan.bind("norm", some(0x2000))) << "other memory";
  EXPECT_THROW(plan.bind("norm", some(0x1008)), std::invalid_argument);
  EXPECT_THROW(plan.bind("norm", nullptr), std::invalid_argument);
  EXPECT_THROW(plan.bind("tokens", some(0x1000)), std::invalid_argument);
  EXPECT_THROW(plan.bind("layers.0.q_proj", some(0x1000)), std::invalid_argument) << "packed";
  EXPECT_THROW(plan.bind("nobody", some(0x1000)), std::out_of_range);

  nf4::PackedWeights w;
  w.packed = static_cast<const std::uint8_t*>(some(0x1000)), w.absmax_codes = w.packed;
  w.nested_absmax = static_cast<const float*>(some(0x1000)), w.nested_code = w.nested_absmax;
  w.nested_offset = w.nested_absmax;
  w.num_weights = 256 * 128;
  EXPECT_FALSE(plan.bind("layers.0.q_proj", w));
  EXPECT_FALSE(plan.bind("layers.0.q_proj", w));
  nf4::PackedWeights other = w;
  other.nested_offset = static_cast<const float*>(some(0x2000));
  EXPECT_TRUE(plan.bind("layers.0.q_proj", other));
  w.num_weights -= 2;
  EXPECT_THROW(plan.bind("layers.0.q_proj", w), std::invalid_argument);
  EXPECT_THROW(plan.bind("norm", other), std::invalid_argument);
}

TEST(StepPlan, a_weight_without_memory_is_named) {
  StepPlan plan(tiny_program(), {});
  plan.place(reinterpret_cast<std::byte*>(Placed::kBase));
  try {
    plan.check_bound();
    FAIL() << "nothing was bound";
  } catch (const std::invalid_argument& error) {
    EXPECT_THAT(error.what(), HasSubstr("'frequencies'"));
  }
}

}  // namespace
}  // namespace assay::kernels::compile
