// SPDX-License-Identifier: Apache-2.0
// PEFT's adapter folder (adapter_config.json, adapter_model.safetensors) and the adapter buffers of a step.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "kernels/compile/checkpoint/lora.hpp"
#include "kernels/compile/checkpoint/stored_file.hpp"
#include "kernels/compile/program.hpp"

namespace assay::kernels::compile::checkpoint {

/// A tensor of PEFT inside an adapter buffer; a buffer's parts lie one below the other, in this order.
struct AdapterPart {
  std::string linear;  ///< "model.layers.0.self_attn.q_proj"
  bool is_a = false;
  std::int64_t rows = 0, columns = 0;

  std::string key() const;  ///< "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"
};

/// Of a buffer of role kAdapter; throws std::logic_error for a name that step_program does not make.
std::vector<AdapterPart> parts_of_adapter(const Buffer& buffer);

/// The settings that a folder's adapter_config.json asks for. Throws std::invalid_argument that begins with
/// the path.
LoraSettings read_adapter_settings(const std::filesystem::path& folder);

/// Values of adapter buffers as training begins, asked for in the order of the program.
class AdapterSource {
 public:
  virtual ~AdapterSource() = default;
  virtual std::vector<float> values(const Buffer& buffer) = 0;
};

/// PEFT's start: A uniform in ±1/√columns (kaiming with a = √5), B zero. The numbers are torch's of
/// Tensor.uniform_ with a CPU generator of `seed`, drawn in the order of the model's linears.
std::unique_ptr<AdapterSource> new_adapters(std::set<std::string> targeted, std::uint64_t seed);

/// Opens the folder's tensors (F32, F16 or BF16, made f32) and checks them against all adapter buffers of
/// `program`. Throws std::invalid_argument naming a tensor that is missing, not expected, or of another
/// shape.
std::unique_ptr<AdapterSource> stored_adapters(const std::filesystem::path& folder,
                                               std::set<std::string> targeted, const Program& program);

struct AdapterDescription {
  LoraSettings settings;
  std::set<std::string> targeted;  ///< targeted_linears of the settings: what is written
  std::string base_model;          ///< base_model_name_or_path; empty: null
};

/// Writes both files into `folder`, which is made where it is missing; `values` gives each adapter buffer,
/// f32. Tensors are f32. Throws std::runtime_error for values that are not finite and where a file cannot be
/// written.
void write_adapters(const std::filesystem::path& folder, const AdapterDescription& adapter,
                    const Program& program,
                    const std::function<std::vector<float>(const std::string& buffer)>& values);

}  // namespace assay::kernels::compile::checkpoint
