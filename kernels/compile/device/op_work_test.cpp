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
    const Program program = step_program(options);
    OpWork products, adapters;
    double decoded = 0;
    for (const Op& op : program.ops) {
      const OpWork work = work_of(program, op, 2);
      products.flops += work.flops;
      if (op.kind == OpKind::kDecode)
        decoded += work.bytes;
      if (is_adapter_product(program, op))
        adapters.flops += work.flops, adapters.bytes += work.bytes;
    }
    const StepEstimate e = estimate_step(options.shape, {.count = 4096, .sequence = 2048}, keep, 1024);
    EXPECT_NEAR(products.flops, e.product_flops, 0.02 * e.product_flops);
    EXPECT_NEAR(decoded, e.decoded_bytes, 0.02 * e.decoded_bytes);
    EXPECT_LT(adapters.flops, 0.02 * products.flops);
    EXPECT_GT(adapters.bytes, e.pointwise_bytes) << "more than norms, rope and SwiGLU together";
    std::printf("[ 8B, policy %d ] products of adapters: %.2f TFLOP, %.1f GB\n", static_cast<int>(keep),
                1e-12 * adapters.flops, 1e-9 * adapters.bytes);
  }
}

}  // namespace
}  // namespace assay::kernels::compile
