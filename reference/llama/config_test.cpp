// SPDX-License-Identifier: Apache-2.0
#include "reference/llama/config.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <stdexcept>

namespace assay::reference::llama {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;

/// As transformers 5 writes it.
json written() {
  return {{"architectures", {"LlamaForCausalLM"}},
          {"model_type", "llama"},
          {"dtype", "bfloat16"},
          {"hidden_act", "silu"},
          {"hidden_size", 64},
          {"intermediate_size", 96},
          {"num_hidden_layers", 2},
          {"num_attention_heads", 4},
          {"num_key_value_heads", 2},
          {"rms_norm_eps", 1e-5},
          {"vocab_size", 101},
          {"rope_parameters",
           {{"rope_type", "llama3"},
            {"rope_theta", 500000.0},
            {"factor", 8.0},
            {"low_freq_factor", 1.0},
            {"high_freq_factor", 4.0},
            {"original_max_position_embeddings", 8192}}}};
}

std::string refusal(const json& config) {
  try {
    parse_config(config.dump());
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "nothing was refused";
}

json with(json config, const char* key, json value) {
  config[key] = std::move(value);
  return config;
}

json without(json config, const char* key) {
  config.erase(key);
  return config;
}

TEST(LlamaConfig, of_transformers_5_is_read) {
  const LlamaConfig config = parse_config(written().dump());
  EXPECT_EQ(config.hidden_size, 64);
  EXPECT_EQ(config.head_dim, 16);
  EXPECT_EQ(config.num_kv_heads, 2);
  EXPECT_EQ(config.rope_theta, 500000.0);
  ASSERT_TRUE(config.rope_scaling);
  EXPECT_EQ(config.rope_scaling->original_max_position_embeddings, 8192);
  EXPECT_EQ(config.dtype, FloatType::kBfloat16);
  EXPECT_FALSE(config.tie_word_embeddings);
}

TEST(LlamaConfig, of_transformers_4_is_read) {
  json config = without(without(written(), "rope_parameters"), "num_key_value_heads");
  config["rope_theta"] = 250000.0;
  config["rope_scaling"] = nullptr;
  config["torch_dtype"] = "float16";
  config.erase("dtype");
  config["head_dim"] = 32;
  const LlamaConfig read = parse_config(config.dump());
  EXPECT_EQ(read.rope_theta, 250000.0);
  EXPECT_FALSE(read.rope_scaling);
  EXPECT_EQ(read.num_kv_heads, 4);
  EXPECT_EQ(read.head_dim, 32);
  EXPECT_EQ(read.dtype, FloatType::kFloat16);
}

TEST(LlamaConfig, refusals_name_key_expected_and_found) {
  EXPECT_EQ(refusal(with(written(), "hidden_act", "gelu")),
            "key 'hidden_act': expected \"silu\", found \"gelu\"");
  EXPECT_EQ(refusal(without(written(), "vocab_size")),
            "key 'vocab_size': expected a whole number from 1 to 1073741824, found nothing");
}

TEST(LlamaConfig, what_would_change_the_numbers_is_refused) {
  const json base = written();
  json rope = base.at("rope_parameters");
  rope["rope_type"] = "yarn";
  const std::pair<const char*, json> changes[] = {{"model_type", "mistral"},
                                                  {"architectures", {"LlamaModel"}},
                                                  {"attention_dropout", 0.1},
                                                  {"pretraining_tp", 2},
                                                  {"partial_rotary_factor", 0.5},
                                                  {"sliding_window", 128},
                                                  {"rope_parameters", rope},
                                                  {"num_key_value_heads", 3},
                                                  {"head_dim", 15},
                                                  {"hidden_size", 66},
                                                  {"hidden_size", 64.5},
                                                  {"vocab_size", -1},
                                                  {"rms_norm_eps", 0.0},
                                                  {"tie_word_embeddings", "yes"},
                                                  {"dtype", "int8"},
                                                  {"rope_scaling", {{"type", "linear"}}}};
  for (const auto& [key, value] : changes) {
    const std::string found = refusal(with(base, key, value));
    EXPECT_THAT(found, AllOf(HasSubstr("expected"), HasSubstr("found"), testing::StartsWith("key '"))) << key;
    EXPECT_THAT(found, HasSubstr(key)) << key;
  }
}

TEST(LlamaConfig, other_quantizations_are_refused) {
  json quantization = {{"quant_method", "gptq"}, {"bits", 4}};
  EXPECT_THAT(refusal(with(written(), "quantization_config", quantization)),
              HasSubstr("quantization_config.quant_method"));
  quantization = {{"quant_method", "bitsandbytes"}, {"load_in_8bit", true}};
  EXPECT_THAT(refusal(with(written(), "quantization_config", quantization)), HasSubstr("load_in_4bit"));
}

TEST(LlamaConfig, a_key_given_twice_is_refused) {
  std::string text = written().dump();
  text.insert(1, "\"vocab_size\": 7,");
  EXPECT_THROW(parse_config(text), std::invalid_argument);
}

TEST(LlamaConfig, what_is_no_object_is_refused) {
  for (const char* text : {"", "[]", "{", "3", "{\"model_type\": [[[[[[[[[]]]]]]]]]}"})
    EXPECT_THROW(parse_config(text), std::invalid_argument) << text;
}

TEST(LlamaConfig, published_shapes_have_the_published_number_of_parameters) {
  const auto count = [](const LlamaConfig& c) {
    const std::int64_t kv = c.num_kv_heads * c.head_dim, q = c.num_heads * c.head_dim;
    const std::int64_t layer = c.hidden_size * (2 * q + 2 * kv + 3 * c.intermediate_size) + 2 * c.hidden_size;
    return c.num_layers * layer + c.hidden_size +
           c.vocab_size * c.hidden_size * (c.tie_word_embeddings ? 1 : 2);
  };
  EXPECT_EQ(count(published_config("llama-3.2-1b")), 1'235'814'400);
  EXPECT_EQ(count(published_config("llama-3.1-8b")), 8'030'261'248);
  EXPECT_THROW(published_config("llama-4"), std::invalid_argument);
}

}  // namespace
}  // namespace assay::reference::llama
