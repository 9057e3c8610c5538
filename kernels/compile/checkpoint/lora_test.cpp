// SPDX-License-Identifier: Apache-2.0
#include "kernels/compile/checkpoint/lora.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "kernels/compile/checkpoint/adapter_files.hpp"
#include "kernels/compile/checkpoint/json_object.hpp"
#include "kernels/compile/checkpoint/temporary_folder_test.hpp"
#include "kernels/compile/step_program.hpp"

namespace assay::kernels::compile::checkpoint {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::refusal;

Program small_program() {
  StepOptions options;
  options.shape = {.layers = 2,
                   .hidden = 8,
                   .intermediate = 12,
                   .heads = 2,
                   .kv_heads = 1,
                   .head_dim = 4,
                   .vocab = 5,
                   .lora_rank = 3};
  options.tokens = 4, options.sequences = 1;
  return step_program(options);
}

const Buffer& buffer(const Program& program, const std::string& name) {
  return program.buffers[static_cast<std::size_t>(program.find(name))];
}

/// Every element of a buffer has a value of its own.
std::vector<float> numbered(const Program& program, const std::string& name) {
  const Buffer& b = buffer(program, name);
  std::vector<float> values(static_cast<std::size_t>(b.rows * b.columns));
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<float>(1000 * program.find(name)) + static_cast<float>(i);
  return values;
}

TEST(AdapterConfig, what_is_written_is_read_back) {
  const LoraSettings settings{
      .rank = 5, .alpha = 2.5, .rslora = true, .target_modules = {"q_proj", "o_proj"}};
  const LoraSettings read = parse_adapter_config(adapter_config_text(settings, "some/model"));
  EXPECT_EQ(read.rank, 5);
  EXPECT_EQ(read.alpha, 2.5);
  EXPECT_TRUE(read.rslora);
  EXPECT_EQ(read.target_modules, settings.target_modules);
  EXPECT_DOUBLE_EQ(read.scale() * read.scale(), 2.5 * 2.5 / 5);
  EXPECT_EQ(LoraSettings{}.scale(), 2.0);
}

TEST(AdapterConfig, what_would_change_the_numbers_is_refused_by_key) {
  const Json plain = Json::parse(adapter_config_text({}, ""));
  const std::pair<const char*, Json> changes[] = {{"peft_type", "IA3"},
                                                  {"lora_dropout", 0.1},
                                                  {"bias", "all"},
                                                  {"use_dora", true},
                                                  {"r", 0},
                                                  {"rank_pattern", {{"q_proj", 4}}},
                                                  {"target_modules", "q.*"},
                                                  {"target_modules", {1}},
                                                  {"modules_to_save", {"norm"}},
                                                  {"layers_to_transform", 1},
                                                  {"init_lora_weights", "pissa"},
                                                  {"fan_in_fan_out", true},
                                                  {"key_of_tomorrow", 1}};
  for (const auto& [key, value] : changes) {
    Json changed = plain;
    changed[key] = value;
    EXPECT_THAT(refusal([&] { parse_adapter_config(changed.dump()); }),
                HasSubstr(std::string("key '") + key));
  }
}

TEST(Targets, names_mean_linears_as_in_peft) {
  const auto meant =
      targeted_linears({.target_modules = {"q_proj", "mlp.up_proj", "model.layers.1.mlp.down_proj"}}, 2);
  EXPECT_THAT(meant, ElementsAre("model.layers.0.mlp.up_proj", "model.layers.0.self_attn.q_proj",
                                 "model.layers.1.mlp.down_proj", "model.layers.1.mlp.up_proj",
                                 "model.layers.1.self_attn.q_proj"));
  EXPECT_EQ(targeted_linears({}, 3).size(), 21u);
  for (const char* target : {"lm_head", "proj", "embed_tokens"})
    EXPECT_THAT(refusal([&] {
                  targeted_linears({.target_modules = {"q_proj", target}}, 2);
                }),
                HasSubstr(target));
}

TEST(Adapters, buffers_are_cut_into_the_tensors_of_peft_and_joined_again) {
  const testing::TemporaryFolder folder;
  const Program program = small_program();
  const auto targeted = targeted_linears({}, 2);
  write_adapters(folder.path() / "out", {{.rank = 3}, targeted, "base"}, program,
                 [&](const std::string& name) { return numbered(program, name); });
  const StoredFile file(folder.path() / "out" / "adapter_model.safetensors");
  EXPECT_EQ(file.tensors().size(), 28u);
  std::vector<float> k(3 * 8);
  file.read("base_model.model.model.layers.1.self_attn.k_proj.lora_A.weight",
            std::as_writable_bytes(std::span(k)));
  const std::vector<float> qkv = numbered(program, "layers.1.qkv.lora_A");
  EXPECT_EQ(k, std::vector<float>(qkv.begin() + 24, qkv.begin() + 48));
  EXPECT_EQ(file.tensors().at("base_model.model.model.layers.0.mlp.down_proj.lora_B.weight").shape,
            (std::vector<std::int64_t>{8, 3}));

  const auto source = stored_adapters(folder.path() / "out", targeted, program);
  for (const Buffer& b : program.buffers) {
    if (b.role != Role::kAdapter)
      continue;
    EXPECT_EQ(source->values(b), numbered(program, b.name)) << b.name;
  }
  const LoraSettings settings = read_adapter_settings(folder.path() / "out");
  EXPECT_EQ(settings.rank, 3);
}

TEST(Adapters, missing_unexpected_and_misshapen_tensors_are_named) {
  const testing::TemporaryFolder folder;
  const Program program = small_program();
  const auto all = targeted_linears({}, 2);
  write_adapters(folder.path(), {{.rank = 3}, all, ""}, program,
                 [&](const std::string& name) { return numbered(program, name); });
  EXPECT_THAT(refusal([&] {
                stored_adapters(folder.path(), targeted_linears({.target_modules = {"q_proj"}}, 2), program);
              }),
              HasSubstr("as well"));
  StepOptions options;
  options.shape = {.layers = 3,
                   .hidden = 8,
                   .intermediate = 12,
                   .heads = 2,
                   .kv_heads = 1,
                   .head_dim = 4,
                   .vocab = 5,
                   .lora_rank = 3};
  options.tokens = 4, options.sequences = 1;
  EXPECT_THAT(
      refusal([&] { stored_adapters(folder.path(), targeted_linears({}, 3), step_program(options)); }),
      HasSubstr("'base_model.model.model.layers.2.self_attn.q_proj.lora_A.weight'"));
  options.shape.layers = 2, options.shape.lora_rank = 4;
  EXPECT_THAT(refusal([&] { stored_adapters(folder.path(), all, step_program(options)); }),
              HasSubstr("[4, 8], found F32 [3, 8]"));
  std::filesystem::remove(folder.path() / "adapter_model.safetensors");
  EXPECT_THAT(refusal([&] { stored_adapters(folder.path(), all, program); }),
              HasSubstr("adapter_model.safetensors"));
}

TEST(Adapters, new_ones_begin_as_in_peft) {
  const Program program = small_program();
  const auto targeted = targeted_linears({}, 2);
  const auto draw = [&](std::uint64_t seed, const char* name) {
    return new_adapters(targeted, seed)->values(buffer(program, name));
  };
  const std::vector<float> a = draw(7, "layers.0.qkv.lora_A");
  const float bound = 1 / std::sqrt(8.0f);
  EXPECT_LE(*std::ranges::max_element(a), bound);
  EXPECT_GE(*std::ranges::min_element(a), -bound);
  EXPECT_GT(*std::ranges::max_element(a), 0.8f * bound);
  EXPECT_LT(*std::ranges::min_element(a), -0.8f * bound);
  EXPECT_EQ(a, draw(7, "layers.0.qkv.lora_A"));
  EXPECT_NE(a, draw(8, "layers.0.qkv.lora_A"));
  for (const float b : draw(7, "layers.1.gate_proj.lora_B")) EXPECT_EQ(b, 0.0f);
}

}  // namespace
}  // namespace assay::kernels::compile::checkpoint
