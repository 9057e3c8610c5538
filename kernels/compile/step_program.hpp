// SPDX-License-Identifier: Apache-2.0
// The training step of a QLoRA Llama written down: forward, loss, backward of the adapters, clipping, AdamW.
#pragma once

#include <vector>

#include "kernels/compile/program.hpp"
#include "kernels/compile/step_estimate.hpp"

namespace assay::kernels::compile {

struct StepOptions {
  LlamaShape shape;
  std::int64_t tokens = 0, sequences = 0;  ///< packed: boundaries say where each sequence begins
  double lora_scale = 1.0, norm_epsilon = 1e-5;
  Keep keep = Keep::kEverything;
  /// Instead of `keep`, one for each layer. Layers that keep least go first: backward comes to them last,
  /// when the others' values are gone, so what is made again finds room.
  std::vector<Keep> keep_by_layer = {};
  bool packed_base =
      true;  ///< linears are NF4 and decoded before each use; else they are of the compute type
  /// Which of a sum's products begins it. The adapter's is bound by bytes, the base's by FLOP: begun by the
  /// adapter's, the base product adds in its epilogue and hides the read; begun by the base's, the adapter's
  /// is a pass of its own that reads and writes. The small part is then also what is rounded first.
  bool adapters_begin = true;
};

/// Names of buffers, with i a layer and LINEAR one of q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj,
/// down_proj:
///   tokens, labels [T] i64; positions [T] i32; boundaries [sequences + 1] i32; frequencies [D/2] f32;
///   settings [4] f32 embed_tokens, lm_head (the same buffer where tied), norm, layers.i.input_layernorm,
///   layers.i.post_attention_layernorm, layers.i.LINEAR adapters layers.i.GROUP.lora_A with GROUP one of qkv,
///   o, gate_up, down: the A of its linears one below the other [members · rank, inputs];
///   layers.i.LINEAR.lora_B [outputs, rank]; each with copies, gradients and moments under the same name and
///   .copy, .gradient, .mean, .square loss, square_sum [1] f32
/// Adds no operation whose result nobody reads: the first layer's input has no gradient. Throws
/// std::invalid_argument for shapes that do not fit.
Program step_program(const StepOptions& options);

/// The first `count` of `layers` keep `lean`, the others `rest`. Throws std::invalid_argument for a count
/// outside of 0 … layers.
std::vector<Keep> keep_less_first(std::int64_t layers, std::int64_t count, Keep lean, Keep rest);

}  // namespace assay::kernels::compile
