// SPDX-License-Identifier: Apache-2.0
#include "kernels/compile/device/op_work.hpp"

#include <gtest/gtest.h>

#include <cstdio>
#include <map>

#include "kernels/compile/device/tiny_step_test.hpp"
#include "kernels/compile/step_estimate.hpp"

namespace assay::kernels::compile {
namespace {

TEST(OpWork, of_a_product_by_hand) {
  Program p;
  p.buffers = {{"a", Role::kArena, Element::kCompute, 10, 6},
               {"b", Role::kCopy, Element::kCompute, 4, 3},
               {"d", Role::kArena, Element::kCompute, 10, 4}};
  Op op;
  op.kind = OpKind::kMatmul;
  op.in = {{.buffer = 0, .column = 3, .columns = 3}, {.buffer = 1}}, op.out = {{.buffer = 2}};
  op.transpose_b = true, op.beta = 1.0f;
  const OpWork work = work_of(p, op, 2);
  EXPECT_EQ(work.flops, 2 * 10 * 4 * 3);
  EXPECT_EQ(work.bytes, 2 * (10 * 3 + 4 * 3 + 2 * 10 * 4));
  EXPECT_EQ(shape_of(p, op), "10×3·3×4+");
  EXPECT_TRUE(is_adapter_product(p, op));
  p.buffers[1].role = Role::kFrozen;
  EXPECT_FALSE(is_adapter_product(p, op));
}

TEST(OpWork, of_decoding_and_embedding_by_hand) {
  Program p;
  p.buffers = {{"packed", Role::kFrozen, Element::kPacked, 128, 128},
               {"weight", Role::kArena, Element::kCompute, 128, 128},
               {"tokens", Role::kInput, Element::kInt64, 5, 1},
               {"table", Role::kFrozen, Element::kCompute, 1000, 16},
               {"x", Role::kArena, Element::kCompute, 5, 16}};
  Op decode, embed;
  decode.kind = OpKind::kDecode, decode.in = {{.buffer = 0}}, decode.out = {{.buffer = 1}};
  EXPECT_EQ(work_of(p, decode, 2).bytes, 128 * 128 * 2 + 128 * 128 / 2 + 256 + 4);
  embed.kind = OpKind::kEmbed, embed.in = {{.buffer = 2}, {.buffer = 3}}, embed.out = {{.buffer = 4}};
  EXPECT_EQ(work_of(p, embed, 2).bytes, 5 * 8 + 2 * (5 * 16 * 2));
}

struct Sums {
  OpWork products, adapters;
  double decoded = 0;
};
Sums sums_of(const Program& program) {
  Sums sums;
  for (const Op& op : program.ops) {
    const OpWork work = work_of(program, op, 2);
    sums.products.flops += work.flops;
    if (op.kind == OpKind::kDecode)
      sums.decoded += work.bytes;
    if (is_adapter_product(program, op))
      sums.adapters.flops += work.flops, sums.adapters.bytes += work.bytes;
  }
  return sums;
}

/// The list does what the estimate says, and what the estimate leaves out: the traffic of the adapters'
/// products.
TEST(OpWork, the_8b_list_against_the_estimate) {
  StepOptions options;
  options.shape = {.layers = 32,
                   .hidden = 4096,
                   .intermediate = 14336,
                   .heads = 32,
                   .kv_heads = 8,
                   .head_dim = 128,
                   .vocab = 128256};
  options.tokens = 4096, options.sequences = 2;
  for (const Keep keep : {Keep::kEverything, Keep::kAttention}) {
    options.keep = keep;
    options.adapters_begin = true;
    const Sums begin = sums_of(step_program(options));
    options.adapters_begin = false;
    const Sums end = sums_of(step_program(options));
    const StepEstimate e = estimate_step(options.shape, {.count = 4096, .sequence = 2048}, keep, 1024);
    EXPECT_NEAR(begin.products.flops, e.product_flops, 0.02 * e.product_flops);
    EXPECT_EQ(begin.products.flops, end.products.flops);
    EXPECT_NEAR(begin.decoded, e.decoded_bytes, 0.02 * e.decoded_bytes);
    EXPECT_LT(begin.adapters.flops, 0.02 * begin.products.flops);
    EXPECT_GT(begin.adapters.bytes, 0.8 * e.pointwise_bytes) << "as much as norms, rope and SwiGLU together";
    EXPECT_LT(begin.adapters.bytes, 0.8 * end.adapters.bytes);
    std::printf(
        "[ 8B, policy %d ] products of adapters: %.2f TFLOP, %.1f GB (%.1f where they end the sums)\n",
        static_cast<int>(keep), 1e-12 * begin.adapters.flops, 1e-9 * begin.adapters.bytes,
        1e-9 * end.adapters.bytes);
  }
}

}  // namespace
}  // namespace assay::kernels::compile
