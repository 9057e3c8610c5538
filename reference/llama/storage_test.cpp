// SPDX-License-Identifier: Apache-2.0
// Files: safetensors, model folders, adapters, 4-bit weights.
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

#include "reference/llama/adapter.hpp"
#include "reference/llama/adapter_config.hpp"
#include "reference/llama/load.hpp"
#include "reference/llama/safetensors.hpp"
#include "reference/llama/tiny_config.hpp"
#include "reference/nf4/dequantize.hpp"

namespace assay::reference::llama {
namespace {

using testing::HasSubstr;
namespace fs = std::filesystem;

class LlamaStorage : public testing::Test {
 protected:
  LlamaStorage() {
    const auto* info = testing::UnitTest::GetInstance()->current_test_info();
    folder_ = fs::path(testing::TempDir()) / (std::string(info->name()) + "_" + std::to_string(getpid()));
    fs::create_directories(folder_);
  }
  ~LlamaStorage() override { fs::remove_all(folder_); }

  fs::path file(const std::string& header, std::size_t data_bytes) const {
    const fs::path path = folder_ / "crafted.safetensors";
    std::ofstream out(path, std::ios::binary);
    const std::uint64_t length = header.size();
    out.write(reinterpret_cast<const char*>(&length), 8) << header << std::string(data_bytes, '\1');
    return path;
  }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ / name) << text;
  }

  fs::path folder_;
};

template <class Action>
std::string refusal(Action action) {
  try {
    action();
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "nothing was refused";
}

constexpr const char* kConfig =
    R"({"model_type": "llama", "vocab_size": 101, "hidden_size": 48, "intermediate_size": 80,
  "num_hidden_layers": 2, "num_attention_heads": 6, "num_key_value_heads": 2})";

std::map<std::string, at::Tensor> weights_of(const Llama& model) {
  std::map<std::string, at::Tensor> tensors;
  for (const auto& [name, tensor] : base_parameters(model)) tensors[name] = tensor;
  return tensors;
}

TEST_F(LlamaStorage, tensors_come_back_as_they_were_written) {
  const fs::path path = folder_ / "t.safetensors";
  const std::map<std::string, at::Tensor> written = {
      {"a", at::randn({3, 5})},        {"b", at::randn({7}).to(at::kBFloat16)},
      {"c", at::arange(4, at::kLong)}, {"none", at::empty({0, 3})},
      {"scalar", at::randn({})},       {"turned", at::randn({4, 6}).t()}};
  write_safetensors(path, written);
  const SafetensorsFile read(path);
  EXPECT_EQ(read.names().size(), written.size());
  for (const auto& [name, tensor] : written) {
    EXPECT_EQ(read.read(name).scalar_type(), tensor.scalar_type()) << name;
    EXPECT_TRUE(at::equal(read.read(name), tensor)) << name;
  }
  EXPECT_THROW(read.read("d"), std::invalid_argument);
}

TEST_F(LlamaStorage, hostile_headers_are_refused) {
  const char* headers[] = {
      R"({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}})",
      R"({"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}})",
      R"({"a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}})",
      R"({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}, "b": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}})",
      R"({"a": {"dtype": "F32", "shape": [281474976710656, 281474976710656, 2], "data_offsets": [0, 8]}})",
      R"({"a": {"dtype": "F32", "shape": [-2], "data_offsets": [0, 8]}})",
      R"({"a": {"dtype": "F4", "shape": [2], "data_offsets": [0, 8]}})",
      R"({"a": {"dtype": "F32", "shape": [2], "data_offsets": [8, 0]}})",
      R"({"a": {"dtype": "F32", "shape": [2]}})",
      R"({"a": 3})",
      R"([])",
      R"({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}, "a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}})",
      R"({)"};
  for (const char* header : headers)
    EXPECT_THROW(SafetensorsFile{file(header, 8)}, std::invalid_argument) << header;
  EXPECT_NO_THROW(
      SafetensorsFile{file(R"({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}})", 8)});
  std::ofstream(folder_ / "short") << "abc";
  EXPECT_THROW(SafetensorsFile{folder_ / "short"}, std::invalid_argument);
  std::ofstream(folder_ / "long") << "\xff\xff\xff\xff\xff\xff\xff\x7f{}";
  EXPECT_THROW(SafetensorsFile{folder_ / "long"}, std::invalid_argument);
}

/// What fuzzing another reader of the format found, and its seeds: read whole or refused, nothing else.
TEST(LlamaSafetensors, hostile_files_are_read_or_refused) {
  int files = 0, read = 0;
  for (const auto& entry :
       fs::directory_iterator(fs::path(ASSAY_TEST_DATA).parent_path() / "fuzz/corpus/safetensors")) {
    ++files;
    try {
      const SafetensorsFile file(entry.path());
      for (const std::string& name : file.names()) file.read(name);
      ++read;
    } catch (const std::invalid_argument& error) {
      EXPECT_THAT(error.what(), HasSubstr("expected")) << entry.path();
    }
  }
  EXPECT_GT(files, 40);
  EXPECT_GT(read, 5);
  EXPECT_LT(read, files - 5);
}

TEST_F(LlamaStorage, a_model_folder_loads_whole_and_in_shards) {
  const Llama model = random_llama(tiny_config(), 4);
  const auto weights = weights_of(model);
  write("config.json", kConfig);
  write_safetensors(folder_ / "model.safetensors", weights);
  const at::Tensor tokens = at::arange(10, at::kLong).reshape({1, 10});
  const at::Tensor expected = model.logits(tokens);
  EXPECT_TRUE(at::equal(load_llama(folder_).logits(tokens), expected));

  std::map<std::string, at::Tensor> shards[2];
  std::string map;
  for (const auto& [name, tensor] : weights) {
    const int shard = name.find("layers.1") != std::string::npos;
    shards[shard][name] = tensor;
    map += (map.empty() ? "" : ",") + ("\"" + name + "\": \"s" + std::to_string(shard) + ".safetensors\"");
  }
  fs::remove(folder_ / "model.safetensors");
  for (int shard : {0, 1})
    write_safetensors(folder_ / ("s" + std::to_string(shard) + ".safetensors"), shards[shard]);
  write("model.safetensors.index.json", "{\"weight_map\": {" + map + "}}");
  EXPECT_TRUE(at::equal(load_llama(folder_).logits(tokens), expected));

  write("model.safetensors.index.json", R"({"weight_map": {"model.norm.weight": "../s0.safetensors"}})");
  EXPECT_THAT(refusal([&] { load_llama(folder_); }), HasSubstr("without folders"));
}

TEST_F(LlamaStorage, missing_wrong_and_unexpected_tensors_are_refused) {
  const auto whole = weights_of(random_llama(tiny_config(), 4));
  write("config.json", kConfig);
  const auto refused = [&](auto change) {
    auto tensors = whole;
    change(tensors);
    write_safetensors(folder_ / "model.safetensors", tensors);
    return refusal([&] { load_llama(folder_); });
  };
  const std::string name = "model.layers.1.mlp.up_proj.weight";
  EXPECT_THAT(refused([&](auto& t) { t.erase(name); }), HasSubstr(name));
  EXPECT_THAT(refused([&](auto& t) { t[name] = t[name].t(); }), HasSubstr("[80, 48]"));
  EXPECT_THAT(refused([&](auto& t) { t[name] = t[name].to(at::kInt); }), HasSubstr("floating-point"));
  EXPECT_THAT(refused([&](auto& t) { t["model.layers.2.mlp.up_proj.weight"] = t[name]; }),
              HasSubstr("layers.2"));
}

TEST_F(LlamaStorage, adapters_come_back_as_they_were_saved) {
  const LoraOptions options{
      .rank = 3, .alpha = 5, .rslora = true, .target_modules = {"q_proj", "down_proj", "lm_head"}};
  Llama model = random_llama(tiny_config(), 4), other = random_llama(tiny_config(), 4);
  add_lora(model, options, 9);
  for (const auto& [name, tensor] : adapter_parameters(model)) tensor.detach().normal_();
  save_adapter(model, options, folder_);
  EXPECT_EQ(load_adapter(other, folder_).target_modules, options.target_modules);
  const at::Tensor tokens = at::arange(10, at::kLong).reshape({1, 10});
  EXPECT_TRUE(at::equal(model.logits(tokens), other.logits(tokens)));
  EXPECT_FALSE(at::equal(random_llama(tiny_config(), 4).logits(tokens), other.logits(tokens)));
}

TEST(LlamaAdapterConfig, what_would_change_the_numbers_is_refused_by_key) {
  using nlohmann::json;
  const json plain = json::parse(adapter_config_text({}));
  EXPECT_EQ(parse_adapter_config(plain.dump()).rank, 8);
  const std::pair<const char*, json> changes[] = {{"use_dora", true},
                                                  {"lora_dropout", 0.1},
                                                  {"bias", "all"},
                                                  {"r", 0},
                                                  {"modules_to_save", {"norm"}},
                                                  {"rank_pattern", {{"q_proj", 4}}},
                                                  {"target_modules", "q"},
                                                  {"init_lora_weights", "pissa"},
                                                  {"peft_type", "IA3"},
                                                  {"fan_in_fan_out", true},
                                                  {"key_of_tomorrow", 1}};
  for (const auto& [key, value] : changes) {
    json changed = plain;
    changed[key] = value;
    EXPECT_THAT(refusal([&] { parse_adapter_config(changed.dump()); }),
                HasSubstr("key '" + std::string(key) + "'"));
  }
}

TEST(LlamaFourBit, dequantized_weights_have_the_exact_bits) {
  for (const bool nested : {true, false}) {
    for (const char* quant_type : {"nf4", "fp4"}) {
      FourBitWeight weight{at::randint(0, 256, {93}, at::kByte), at::rand({6}), {}, {}, {}};
      weight.rows = 5;
      weight.columns = 37;  // 185 weights: the last byte half used, the last block short
      weight.block_size = 32;
      weight.quant_type = quant_type;
      nf4::QuantizedWeights plain{
          .packed = weight.packed.const_data_ptr<std::uint8_t>(), .count = 185, .block_size = 32};
      plain.codebook = weight.quant_type == "nf4" ? nf4::Codebook::kNf4 : nf4::Codebook::kFp4;
      if (nested) {
        weight.absmax = at::randint(0, 256, {6}, at::kByte);
        weight.nested_absmax = at::rand({2});
        weight.nested_code = at::randn({256});
        weight.nested_offset = at::rand({});
        weight.nested_block_size = plain.nested_block_size = 4;
        plain.absmax_codes = weight.absmax.const_data_ptr<std::uint8_t>();
        plain.nested_absmax = weight.nested_absmax.const_data_ptr<float>();
        plain.nested_code = weight.nested_code.const_data_ptr<float>();
        plain.nested_offset = weight.nested_offset.const_data_ptr<float>();
      } else {
        plain.absmax = weight.absmax.const_data_ptr<float>();
      }
      const std::pair<at::ScalarType, nf4::Scalar> types[] = {{at::kFloat, nf4::Scalar::kFloat32},
                                                              {at::kHalf, nf4::Scalar::kFloat16},
                                                              {at::kBFloat16, nf4::Scalar::kBfloat16}};
      for (const auto& [type, scalar] : types) {
        const at::Tensor found = dequantize(weight, type), expected = at::empty_like(found);
        nf4::dequantize_scalar(plain, scalar, expected.mutable_data_ptr());
        EXPECT_EQ(std::memcmp(found.const_data_ptr(), expected.const_data_ptr(), found.nbytes()), 0)
            << quant_type << " nested " << nested << " " << type;
      }
    }
  }
}

}  // namespace
}  // namespace assay::reference::llama
