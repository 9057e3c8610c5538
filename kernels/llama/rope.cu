// SPDX-License-Identifier: Apache-2.0
// Checks, configuration, launch of rope. Dispatch over type and alignment is total.
#include "kernels/llama/check.hpp"
#include "kernels/llama/launch.cuh"
#include "kernels/llama/pointwise_config.hpp"
#include "kernels/llama/rope_kernel.cuh"

namespace assay::kernels::llama {
namespace {

device::RopeHeads device_heads(const RopeTensor& t) {
  return {.in = t.in,
          .out = t.out,
          .in_batch = t.in_strides.batch,
          .in_token = t.in_strides.token,
          .in_head = t.in_strides.head,
          .out_batch = t.out_strides.batch,
          .out_token = t.out_strides.token,
          .out_head = t.out_strides.head};
}

}  // namespace

void rope(const Rope& args, cudaStream_t stream) {
  check(args);
  const std::int64_t tokens = args.batches * args.length, heads = args.q.heads + args.k.heads;
  if (tokens == 0 || heads == 0)
    return;
  const auto element_bytes = static_cast<int>(size_of(args.type));
  const RopeConfig config = choose_rope_config(heads, args.head_dim, element_bytes, is_aligned(args));
  const device::RopeParameters p{.q = device_heads(args.q),
                                 .k = device_heads(args.k),
                                 .inverse_frequency = args.inverse_frequency,
                                 .positions = args.positions,
                                 .q_heads = static_cast<int>(args.q.heads),
                                 .heads = static_cast<int>(heads),
                                 .length = static_cast<unsigned>(args.length),
                                 .half = static_cast<int>(args.head_dim / 2),
                                 .vectors_per_half = config.vectors_per_half,
                                 .heads_per_pass = config.heads_per_pass,
                                 .positions_are_64_bits = args.position_type == PositionType::kInt64,
                                 .backward = args.backward,
                                 .aligned = config.vectorized};
  const std::size_t elements = static_cast<std::size_t>(config.vectors_per_half) * (16 / element_bytes);
  const Launch shape{tokens, config.threads, 2 * elements * sizeof(float), stream};
  dispatch(args.type, [&]<class T>() {
    launch(config.vectorized ? device::rope_kernel<T, true> : device::rope_kernel<T, false>, shape, p);
  });
}

}  // namespace assay::kernels::llama
