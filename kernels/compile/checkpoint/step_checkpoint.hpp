// SPDX-License-Identifier: Apache-2.0
// A Hugging Face Llama as a training step: the list of operations its config asks for, its weights in the
// step's buffers, its adapters in PEFT's files.
//
//   StepCheckpoint checkpoint("path/of/Llama", {.tokens = 4096, .sequences = 2});
//   a step of checkpoint.program();  checkpoint.load(the step's sink);
//   … train …
//   checkpoint.save_adapters("path/of/adapter", values);
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "kernels/compile/checkpoint/adapter_files.hpp"
#include "kernels/compile/checkpoint/elements.hpp"
#include "kernels/compile/checkpoint/llama_config.hpp"
#include "kernels/compile/checkpoint/lora.hpp"
#include "kernels/compile/checkpoint/stored_model.hpp"
#include "kernels/compile/checkpoint/weight_sink.hpp"
#include "kernels/compile/step_program.hpp"

namespace assay::kernels::compile::checkpoint {

struct CheckpointOptions {
  std::int64_t tokens = 0, sequences = 1;  ///< the step's capacity, packed
  ElementType compute = ElementType::kBfloat16;
  Keep keep = Keep::kEverything;
  /// NF4: 4-bit linears are taken as they are, 16- and 32-bit ones quantized. Else: linears in the compute
  /// type, and a 4-bit checkpoint is refused.
  bool packed_base = true;
  bool adapters_begin = true;           ///< StepOptions
  LoraSettings lora = {};               ///< of new adapters
  std::uint64_t seed = 0;               ///< of new adapters
  std::filesystem::path adapters = {};  ///< PEFT's folder to go on from instead; its settings then count
};

class StepCheckpoint {
 public:
  /// Reads config.json, the headers of the weights and of the adapters, and checks all of it: each tensor's
  /// name, type and shape, parts of 4-bit weights, tensors that no buffer takes. Reads no large tensor.
  /// Throws std::invalid_argument with the file's path: what was expected, what was found.
  StepCheckpoint(std::filesystem::path folder, const CheckpointOptions& options);

  const LlamaConfig& config() const { return config_; }
  const StepOptions& step_options() const { return step_options_; }
  const Program& program() const { return program_; }
  const LoraSettings& lora() const { return adapter_.settings; }

  /// Gives `sink` every frozen and every adapter buffer, one after the other. At no time is there more in
  /// host memory than one tensor (as stored or in the step's type, whichever is larger) and its packed form.
  /// Throws std::invalid_argument for values that are not finite (before or after rounding to the compute
  /// type) and for files that have changed; what the sink has then been given is to be thrown away.
  void load(WeightSink& sink) const;

  /// adapter_config.json and adapter_model.safetensors of a trained step, as PEFT reads them. `values`: an
  /// adapter buffer by its name, f32. Throws std::runtime_error as write_adapters.
  void save_adapters(const std::filesystem::path& folder,
                     const std::function<std::vector<float>(const std::string& buffer)>& values) const;

 private:
  void check_weights() const;
  void check(const Buffer& buffer, const std::string& name) const;
  void refuse_others() const;
  void give(const Buffer& buffer, WeightSink& sink) const;

  std::filesystem::path folder_;
  CheckpointOptions options_;
  LlamaConfig config_;
  AdapterDescription adapter_;
  StepOptions step_options_;
  Program program_;
  StoredModel model_;
  bool four_bit_ = false;  ///< linears are stored so
};

/// The tensor of a frozen buffer other than frequencies: "model.layers.0.mlp.up_proj.weight".
std::string tensor_name(const Buffer& buffer);

}  // namespace assay::kernels::compile::checkpoint
