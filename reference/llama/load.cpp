// SPDX-License-Identifier: Apache-2.0
#include "reference/llama/load.hpp"

#include <sstream>
#include <stdexcept>

#include "reference/llama/assemble.hpp"
#include "reference/llama/four_bit_checkpoint.hpp"
#include "reference/llama/safetensors.hpp"

namespace assay::reference::llama {
namespace {

using at::Tensor;

class Loader {
 public:
  Loader(const std::filesystem::path& folder, const LlamaConfig& config, const Placement& placement)
      : checkpoint_(folder),
        device_(placement.device),
        type_(scalar_type(placement.dtype.value_or(config.dtype))),
        compute_type_(scalar_type(config.four_bit_compute_dtype)) {}

  Tensor dense(const std::string& name, const std::vector<std::int64_t>& shape) {
    const Tensor tensor = checkpoint_.read(name);
    if (!tensor.is_floating_point() || tensor.sizes() != shape) {
      std::ostringstream text;
      text << name << ": expected floating-point " << at::IntArrayRef(shape) << ", found "
           << tensor.scalar_type() << " " << tensor.sizes();
      throw std::invalid_argument(text.str());
    }
    return tensor.to(device_, type_);
  }

  Linear linear(const std::string& name, std::int64_t rows, std::int64_t columns, bool bias) {
    Linear linear;
    if (is_four_bit(checkpoint_, name + ".weight"))
      linear.four_bit = four_bit(name + ".weight", rows, columns);
    else
      linear.weight = dense(name + ".weight", {rows, columns});
    if (bias)
      linear.bias = dense(name + ".bias", {rows});
    return linear;
  }

  /// Tied heads are often stored twice, old checkpoints carry the rotation frequencies: neither is read.
  void finish(bool tied) {
    if (tied)
      checkpoint_.ignore("lm_head.weight");
    for (const std::string& name : checkpoint_.unused())
      if (!name.ends_with(".rotary_emb.inv_freq"))
        throw std::invalid_argument("expected only tensors of the configured Llama, found '" + name +
                                    "' as well");
  }

 private:
  FourBitWeight four_bit(const std::string& name, std::int64_t rows, std::int64_t columns) {
    FourBitWeight weight = read_four_bit(checkpoint_, name, rows, columns);
    weight.compute_type = compute_type_;
    for (Tensor* part :
         {&weight.packed, &weight.absmax, &weight.nested_absmax, &weight.nested_code, &weight.nested_offset})
      if (part->defined())
        *part = part->to(device_);
    return weight;
  }

  Checkpoint checkpoint_;
  c10::Device device_;
  at::ScalarType type_, compute_type_;
};

}  // namespace

at::ScalarType scalar_type(FloatType type) {
  switch (type) {
    case FloatType::kFloat32:
      return at::kFloat;
    case FloatType::kFloat16:
      return at::kHalf;
    case FloatType::kBfloat16:
      return at::kBFloat16;
  }
  throw std::logic_error("expected a FloatType");
}

Llama load_llama(const std::filesystem::path& folder, const Placement& placement) {
  const LlamaConfig config = read_config(folder / "config.json");
  Loader loader(folder, config, placement);
  Llama model = assemble(
      config, {.norm = [&](const std::string& name, std::int64_t size) { return loader.dense(name, {size}); },
               .embedding =
                   [&](const std::string& name, std::int64_t rows, std::int64_t columns) {
                     return loader.dense(name, {rows, columns});
                   },
               .linear = [&](const std::string& name, std::int64_t rows, std::int64_t columns,
                             bool bias) { return loader.linear(name, rows, columns, bias); }});
  loader.finish(config.tie_word_embeddings);
  return model;
}

}  // namespace assay::reference::llama
