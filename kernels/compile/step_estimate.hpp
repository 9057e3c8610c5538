// SPDX-License-Identifier: Apache-2.0
// What a QLoRA training step of a Llama must keep, move and multiply: pure arithmetic over shapes, for
// choosing a policy before anything is allocated and for holding measured steps against.
#pragma once

#include <cstdint>

namespace assay::kernels::compile {

/// Llama with an NF4 base (double-quantized, blocks of 64 and 256), 16-bit embedding and head, adapters of
/// `lora_rank` on all seven linears.
struct LlamaShape {
  std::int64_t layers = 0, hidden = 0, intermediate = 0, heads = 0, kv_heads = 0, head_dim = 0, vocab = 0;
  bool tied = false;  ///< head and embedding are one matrix
  std::int64_t lora_rank = 16;
};

/// What forward leaves of each layer for backward. What is not kept is made again in backward from what is.
enum class Keep : std::uint8_t {
  kEverything,  ///< every input of a linear and of a pointwise operation
  kProducts,   ///< results of products and attention; norms and SwiGLU, which only move bytes, are made again
  kAttention,  ///< the same without gate and up: their two products are made again
  kInput,      ///< the layer's input alone: the whole forward pass is made again
};

struct Tokens {
  std::int64_t count = 0;     ///< of all sequences of the step
  std::int64_t sequence = 0;  ///< length of one, for attention (causal)
};

struct StepEstimate {
  // bytes
  std::int64_t base = 0;  ///< packed weights with their statistics, norms, embedding, head
  std::int64_t adapters =
      0;  ///< f32 parameters, gradients and both moments, and the 16-bit copy that products read
  std::int64_t kept = 0;   ///< activations of all layers that wait for backward
  std::int64_t layer = 0;  ///< what one layer's backward needs at a time beside those
  std::int64_t decoded =
      0;  ///< 16-bit weights: two of the largest linear, so that one is decoded beside the other's product
  std::int64_t logits = 0;  ///< a chunk of the head's logits
  std::int64_t total() const { return base + adapters + kept + layer + decoded + logits; }
  // work
  double product_flops =
      0.0;  ///< forward, input gradients and what is made again; base linears, head and adapters
  double attention_flops = 0.0;  ///< causal: half of the square; backward 2.5 times forward
  double decoded_bytes = 0.0;    ///< traffic of decoding the base, once for every pass over it
  double pointwise_bytes = 0.0;  ///< traffic of norms, rope, SwiGLU, residuals and the passes over logits

  /// Seconds at a rate of products, one of attention (FLOP/s) and one of copies (bytes/s), nothing
  /// overlapped.
  double seconds(double product_rate, double attention_rate, double copy_rate) const {
    return product_flops / product_rate + attention_flops / attention_rate +
           (decoded_bytes + pointwise_bytes) / copy_rate;
  }
};

/// Activations of 16 bits. `logit_rows`: rows of a chunk of the head. Throws std::invalid_argument for sizes
/// below 1 or heads that do not share their keys evenly.
StepEstimate estimate_step(const LlamaShape& shape, const Tokens& tokens, Keep keep, std::int64_t logit_rows);

/// Bytes that one layer keeps for one token.
std::int64_t kept_bytes(const LlamaShape& shape, Keep keep);

}  // namespace assay::kernels::compile
