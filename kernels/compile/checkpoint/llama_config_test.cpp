// SPDX-License-Identifier: Apache-2.0
#include "kernels/compile/checkpoint/llama_config.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "kernels/compile/checkpoint/json_object.hpp"
#include "kernels/compile/checkpoint/temporary_folder_test.hpp"

namespace assay::kernels::compile::checkpoint {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::refusal;

Json llama_3() {
  return {{"architectures", {"LlamaForCausalLM"}},
          {"model_type", "llama"},
          {"hidden_act", "silu"},
          {"hidden_size", 2048},
          {"intermediate_size", 8192},
          {"num_hidden_layers", 16},
          {"num_attention_heads", 32},
          {"num_key_value_heads", 8},
          {"head_dim", 64},
          {"rms_norm_eps", 1e-5},
          {"vocab_size", 128256},
          {"tie_word_embeddings", true},
          {"rope_theta", 500000.0},
          {"rope_scaling",
           {{"rope_type", "llama3"},
            {"factor", 32.0},
            {"low_freq_factor", 1.0},
            {"high_freq_factor", 4.0},
            {"original_max_position_embeddings", 8192}}}};
}

Json with(const char* key, Json value) {
  Json config = llama_3();
  config[key] = std::move(value);
  return config;
}

TEST(LlamaConfig, shapes_and_settings_are_read) {
  const LlamaConfig config = parse_llama_config(llama_3().dump());
  EXPECT_EQ(config.shape.layers, 16);
  EXPECT_EQ(config.shape.hidden, 2048);
  EXPECT_EQ(config.shape.intermediate, 8192);
  EXPECT_EQ(config.shape.heads, 32);
  EXPECT_EQ(config.shape.kv_heads, 8);
  EXPECT_EQ(config.shape.head_dim, 64);
  EXPECT_EQ(config.shape.vocab, 128256);
  EXPECT_TRUE(config.shape.tied);
  EXPECT_EQ(config.norm_epsilon, 1e-5);
  EXPECT_EQ(config.rope_theta, 5e5);
  ASSERT_TRUE(config.llama3_rope);
  EXPECT_EQ(config.llama3_rope->factor, 32.0);
  EXPECT_EQ(config.llama3_rope->original_length, 8192);
}

TEST(LlamaConfig, what_is_left_out_is_what_transformers_takes) {
  Json config = llama_3();
  for (const char* key : {"num_key_value_heads", "head_dim", "rms_norm_eps", "tie_word_embeddings",
                          "rope_theta", "rope_scaling", "hidden_act", "architectures"})
    config.erase(key);
  const LlamaConfig read = parse_llama_config(config.dump());
  EXPECT_EQ(read.shape.kv_heads, 32);
  EXPECT_EQ(read.shape.head_dim, 64);
  EXPECT_EQ(read.norm_epsilon, 1e-6);
  EXPECT_FALSE(read.shape.tied);
  EXPECT_EQ(read.rope_theta, 1e4);
  EXPECT_FALSE(read.llama3_rope);
}

TEST(LlamaConfig, rope_parameters_of_transformers_5_are_read) {
  Json config = llama_3();
  config["rope_parameters"] = config["rope_scaling"];
  config["rope_parameters"]["rope_theta"] = 250000.0;
  config.erase("rope_scaling"), config.erase("rope_theta");
  const LlamaConfig read = parse_llama_config(config.dump());
  EXPECT_EQ(read.rope_theta, 250000.0);
  EXPECT_TRUE(read.llama3_rope);
}

TEST(LlamaConfig, what_the_step_does_not_compute_is_refused_by_key) {
  const std::pair<const char*, Json> changes[] = {
      {"model_type", "mistral"},
      {"architectures", {"LlamaForSequenceClassification"}},
      {"hidden_act", "gelu"},
      {"attention_bias", true},
      {"mlp_bias", true},
      {"attention_dropout", 0.1},
      {"pretraining_tp", 2},
      {"partial_rotary_factor", 0.5},
      {"sliding_window", 4096},
      {"num_key_value_heads", 7},
      {"head_dim", 15},
      {"vocab_size", 0},
      {"num_hidden_layers", 5000},
      {"intermediate_size", 1 << 23},
      {"hidden_size", 2048.5},
      {"rms_norm_eps", 0.0},
      {"rope_theta", "many"},
      {"rope_scaling", {{"rope_type", "yarn"}, {"factor", 4.0}}},
      {"rope_scaling", {{"type", "linear"}, {"factor", 4.0}}},
      {"rope_parameters", {{"rope_type", "default"}}},
      {"quantization_config", {{"quant_method", "gptq"}, {"bits", 4}}},
      {"quantization_config", {{"quant_method", "bitsandbytes"}, {"load_in_8bit", true}}}};
  for (const auto& [key, value] : changes) {
    const std::string message = refusal([&] { parse_llama_config(with(key, value).dump()); });
    EXPECT_THAT(message, AllOf(HasSubstr("key '"), HasSubstr("expected"), HasSubstr("found"))) << key;
    // Both ropes given is told of the older key.
    EXPECT_THAT(message, HasSubstr(key == std::string("rope_parameters") ? "rope_scaling" : key));
  }
  EXPECT_EQ(refusal([&] { parse_llama_config(with("attention_bias", true).dump()); }),
            "key 'attention_bias': expected false (the step's linears have no bias), found true");
}

TEST(LlamaConfig, the_message_begins_with_the_file) {
  const testing::TemporaryFolder folder;
  const auto path = folder.write("config.json", "{}");
  EXPECT_EQ(refusal([&] { read_llama_config(path); }),
            path.string() + ": key 'model_type': expected a string, found nothing");
  EXPECT_THAT(refusal([&] { read_llama_config(folder.path() / "none.json"); }), HasSubstr("none.json"));
}

TEST(RopeFrequencies, llama_3_stretches_slow_turns_keeps_fast_ones_and_blends_between) {
  LlamaConfig config = parse_llama_config(llama_3().dump());
  const std::vector<float> scaled = rope_frequencies(config);
  config.llama3_rope.reset();
  const std::vector<float> plain = rope_frequencies(config);
  ASSERT_EQ(plain.size(), 32u);
  EXPECT_EQ(plain[0], 1.0f);
  EXPECT_FLOAT_EQ(plain[16], static_cast<float>(1 / std::sqrt(5e5)));
  int kept = 0, stretched = 0;
  for (std::size_t i = 0; i < plain.size(); ++i) {
    const double turns = 8192 * static_cast<double>(plain[i]) / (2 * std::numbers::pi);
    kept += turns >= 4 ? 1 : 0, stretched += turns <= 1 ? 1 : 0;
    const double share = std::clamp((turns - 1) / 3, 0.0, 1.0);
    EXPECT_NEAR(scaled[i] / plain[i], (1 - share) / 32 + share, 1e-6) << i;
    if (turns >= 4) {
      EXPECT_EQ(scaled[i], plain[i]) << i;
    }
  }
  EXPECT_GT(kept, 10);
  EXPECT_GT(stretched, 10);
  EXPECT_LT(kept + stretched, 32);
}

}  // namespace
}  // namespace assay::kernels::compile::checkpoint
