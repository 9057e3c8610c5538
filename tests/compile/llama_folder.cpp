// SPDX-License-Identifier: Apache-2.0
#include "tests/compile/llama_folder.hpp"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/empty.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <fstream>

#include "reference/llama/load.hpp"
#include "reference/llama/safetensors.hpp"
#include "reference/nf4/dynamic_map.hpp"
#include "reference/nf4/quantize.hpp"
#include "reference/nf4/table.hpp"

namespace assay::testing {

namespace llama = reference::llama;
namespace nf4 = reference::nf4;
using at::Tensor;
using nlohmann::json;

namespace {

json config_of(const FolderKind& kind) {
  json config = {{"architectures", {"LlamaForCausalLM"}},
                 {"model_type", "llama"},
                 {"hidden_act", "silu"},
                 {"hidden_size", 64},
                 {"intermediate_size", 96},
                 {"num_hidden_layers", 2},
                 {"num_attention_heads", 4},
                 {"num_key_value_heads", 2},
                 {"head_dim", 8},
                 {"rms_norm_eps", 1e-5},
                 {"vocab_size", 101},
                 {"tie_word_embeddings", kind.tied},
                 {"initializer_range", 0.2},
                 {"rope_theta", 10000.0},
                 {"dtype", kind.type == at::kHalf ? "float16" : "bfloat16"}};
  if (kind.llama3_rope)  // so short that every branch of it meets a frequency
    config["rope_scaling"] = {{"rope_type", "llama3"},
                              {"factor", 8.0},
                              {"low_freq_factor", 1.0},
                              {"high_freq_factor", 4.0},
                              {"original_max_position_embeddings", 64}};
  if (kind.device_size)
    config["hidden_size"] = 128, config["intermediate_size"] = 192, config["head_dim"] = 64;
  if (kind.four_bit)
    config["quantization_config"] = {{"quant_method", "bitsandbytes"}, {"load_in_4bit", true}};
  return config;
}

template <class T>
T* data(const Tensor& tensor) {
  return static_cast<T*>(tensor.mutable_data_ptr());
}

nf4::Scalar scalar(at::ScalarType type) {
  return type == at::kHalf ? nf4::Scalar::kFloat16 : nf4::Scalar::kBfloat16;
}

Tensor bytes_of(const std::string& text) {
  const Tensor tensor = at::empty({static_cast<std::int64_t>(text.size())}, at::kByte);
  std::memcpy(tensor.mutable_data_ptr(), text.data(), text.size());
  return tensor;
}

std::map<std::string, Tensor> quantized(const std::string& name, const Tensor& weight) {
  const std::int64_t count = weight.numel(), blocks = (count + 63) / 64;
  const Tensor packed = at::empty({(count + 1) / 2, 1}, at::kByte), absmax = at::empty({blocks}, at::kFloat),
               codes = at::empty({blocks}, at::kByte), nested = at::empty({(blocks + 255) / 256}, at::kFloat),
               map = at::empty({256}, at::kFloat), table = at::empty({16}, at::kFloat);
  nf4::quantize_as_cpu(
      {.values = weight.const_data_ptr(), .type = scalar(weight.scalar_type()), .count = count},
      data<std::uint8_t>(packed), data<float>(absmax));
  nf4::dynamic_map(data<float>(map));
  std::copy_n(nf4::kNf4Code, 16, data<float>(table));
  const float offset = nf4::mean_absmax(data<float>(absmax), blocks);
  nf4::quantize_absmax_as_cpu(
      {.absmax = data<float>(absmax), .count = blocks, .code = data<float>(map), .offset = offset},
      data<std::uint8_t>(codes), data<float>(nested));
  const json state = {{"quant_type", "nf4"},
                      {"blocksize", 64},
                      {"dtype", "float32"},  // backward of the plain model rounds the decoded weight to this
                      {"shape", weight.sizes().vec()},
                      {"nested_blocksize", 256},
                      {"nested_dtype", "float32"},
                      {"nested_offset", offset}};
  return {{name, packed},
          {name + ".absmax", codes},
          {name + ".quant_map", table},
          {name + ".nested_absmax", nested},
          {name + ".nested_quant_map", map},
          {name + ".quant_state.bitsandbytes__nf4", bytes_of(state.dump())}};
}

}  // namespace

void quantize_linears(std::map<std::string, Tensor>& tensors) {
  std::map<std::string, Tensor> made;
  for (const auto& [name, tensor] : tensors)
    if (name.ends_with("_proj.weight"))
      made.merge(quantized(name, tensor));
    else
      made[name] = tensor;
  tensors = std::move(made);
}

LlamaFolder::LlamaFolder(const FolderKind& kind) : config(config_of(kind)), sharded_(kind.sharded) {
  const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
  static int made = 0;
  path_ = std::filesystem::path(::testing::TempDir()) /
          (std::string(test->name()) + "_" + std::to_string(getpid()) + "_" + std::to_string(made++));
  std::filesystem::create_directories(path_);
  const llama::Llama model = llama::random_llama(llama::parse_config(config.dump()), 5);
  const at::Generator random = at::detail::createCPUGenerator(7);
  for (const auto& [name, tensor] : llama::base_parameters(model)) {
    if (name.ends_with("norm.weight"))
      tensor.uniform_(0.5, 1.5, random);
    tensors[name] = tensor;
  }
  if (kind.four_bit)
    quantize_linears(tensors);
  write();
}

LlamaFolder::~LlamaFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

void LlamaFolder::write() const {
  std::ofstream(path_ / "config.json") << config;
  if (!sharded_)
    return llama::write_safetensors(path_ / "model.safetensors", tensors);
  const std::string files[] = {"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"};
  std::map<std::string, Tensor> shards[2];
  json map = json::object();
  for (const auto& [name, tensor] : tensors) {
    const std::size_t shard = name.starts_with("model.layers.1.") ? 1 : 0;
    shards[shard][name] = tensor;
    map[name] = files[shard];
  }
  for (const std::size_t shard : {0, 1}) llama::write_safetensors(path_ / files[shard], shards[shard]);
  std::ofstream(path_ / "model.safetensors.index.json") << json{{"weight_map", map}};
}

}  // namespace assay::testing
