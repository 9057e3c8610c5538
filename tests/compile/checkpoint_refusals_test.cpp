// SPDX-License-Identifier: Apache-2.0
// Folders with something wrong: refused before a weight is given away, with a message that names it.
#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <functional>
#include <limits>

#include "kernels/compile/checkpoint/step_checkpoint.hpp"
#include "kernels/compile/eager/eager_weights.hpp"
#include "tests/compile/llama_folder.hpp"

namespace assay::testing {
namespace {

using kernels::compile::EagerStep;
using kernels::compile::EagerWeights;
using kernels::compile::checkpoint::CheckpointOptions;
using kernels::compile::checkpoint::ElementType;
using kernels::compile::checkpoint::StepCheckpoint;
using ::testing::AllOf;
using ::testing::HasSubstr;
using Tensors = std::map<std::string, at::Tensor>;

const std::string kUp = "model.layers.1.mlp.up_proj.weight";

CheckpointOptions options() {
  return {.tokens = 8, .sequences = 1, .compute = ElementType::kFloat16};
}

template <class Action>
std::string refusal(const Action& action) {
  try {
    action();
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "nothing was refused";
}

std::string refused(const FolderKind& kind, const std::function<void(Tensors&)>& change,
                    const CheckpointOptions& with = options()) {
  LlamaFolder folder(kind);
  change(folder.tensors);
  folder.write();
  const std::string message = refusal([&] { StepCheckpoint(folder.path(), with); });
  EXPECT_THAT(message, AllOf(HasSubstr(folder.path().string()), HasSubstr("expected"), HasSubstr("found")));
  return message;
}

TEST(CheckpointRefusals, missing_renamed_misshapen_and_unexpected_tensors_are_named) {
  for (const bool sharded : {false, true}) {
    const FolderKind kind{.name = "dense", .sharded = sharded};
    EXPECT_THAT(refused(kind, [](Tensors& t) { t.erase(kUp); }), HasSubstr("'" + kUp + "'"));
    EXPECT_THAT(refused(kind, [](Tensors& t) { t.erase("lm_head.weight"); }), HasSubstr("'lm_head.weight'"));
    EXPECT_THAT(
        refused(kind, [](Tensors& t) { t["model.layers.1.mlp.upproj.weight"] = t[kUp], t.erase(kUp); }),
        HasSubstr("'" + kUp + "'"));
    EXPECT_THAT(refused(kind, [](Tensors& t) { t[kUp] = t[kUp].t(); }),
                HasSubstr("[96, 64], found BF16 [64, 96]"));
    EXPECT_THAT(refused(kind, [](Tensors& t) { t[kUp] = t[kUp].to(at::kInt); }), HasSubstr("found I32"));
    EXPECT_THAT(
        refused(kind, [](Tensors& t) { t["model.norm.weight"] = t["model.norm.weight"].to(at::kDouble); }),
        HasSubstr("'model.norm.weight': expected F16, BF16 or F32 [64], found F64 [64]"));
    EXPECT_THAT(refused(kind, [](Tensors& t) { t["model.layers.2.mlp.up_proj.weight"] = t[kUp]; }),
                HasSubstr("'model.layers.2.mlp.up_proj.weight' as well"));
    EXPECT_THAT(
        refused(kind, [](Tensors& t) { t["model.layers.0.self_attn.q_proj.bias"] = t["model.norm.weight"]; }),
        HasSubstr("q_proj.bias' as well"));
  }
}

TEST(CheckpointRefusals, parts_of_four_bit_weights_are_named) {
  const FolderKind kind{.name = "four_bit", .four_bit = true};
  const std::string state = kUp + ".quant_state.bitsandbytes__nf4";
  for (const char* part : {".absmax", ".quant_map", ".nested_absmax", ".nested_quant_map"}) {
    EXPECT_THAT(refused(kind, [&](Tensors& t) { t.erase(kUp + part); }), HasSubstr("'" + kUp + part + "'"));
    EXPECT_THAT(refused(kind, [&](Tensors& t) { t[kUp + part] = t[kUp + part].to(at::kShort); }),
                HasSubstr(kUp + part));
  }
  EXPECT_THAT(refused(kind, [&](Tensors& t) { t.erase(state); }),
              HasSubstr("expected 4 bits with their state"));
  EXPECT_THAT(refused(kind, [&](Tensors& t) { t[kUp] = t[kUp].narrow(0, 0, 100).contiguous(); }),
              HasSubstr("3072 bytes for 6144 weights, found U8 [100, 1]"));
  EXPECT_THAT(refused(kind, [&](Tensors& t) { t[kUp + ".quant_map"].mul_(2); }), HasSubstr("16 values"));
  EXPECT_THAT(refused(kind, [&](Tensors& t) { t[state].fill_(' '); }), HasSubstr(state));
  const auto with_state = [&](const std::string& from, const std::string& to) {
    return refused(kind, [&](Tensors& t) {
      std::string text(t[state].const_data_ptr<std::uint8_t>(),
                       t[state].const_data_ptr<std::uint8_t>() + t[state].numel());
      text.replace(text.find(from), from.size(), to);
      t[state] = at::full({static_cast<std::int64_t>(text.size())}, 0, at::kByte);
      std::copy(text.begin(), text.end(), t[state].mutable_data_ptr<std::uint8_t>());
    });
  };
  EXPECT_THAT(with_state("[96,64]", "[64,96]"), HasSubstr("key 'shape': expected [96,64]"));
  EXPECT_THAT(with_state("\"blocksize\":64", "\"blocksize\":63"),
              HasSubstr("a power of two from 32 to 4096"));
  EXPECT_THAT(with_state("nested_offset", "nested_offest"), HasSubstr("bnb_4bit_use_double_quant"));
}

TEST(CheckpointRefusals, a_base_that_cannot_be_what_was_asked_for_is_refused) {
  CheckpointOptions dense = options();
  dense.packed_base = false;
  EXPECT_THAT(refused(
                  {.name = "four_bit", .four_bit = true}, [](Tensors&) {}, dense),
              HasSubstr("not packed"));
}

TEST(CheckpointRefusals, numbers_that_are_not_finite_in_the_steps_type_are_found_while_loading) {
  for (const std::string& name : {kUp, std::string("model.embed_tokens.weight")}) {
    for (const float bad :
         {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(), 1e6f}) {
      LlamaFolder folder({.name = "bf16"});
      folder.tensors[name][3][5] = bad;
      folder.write();
      const StepCheckpoint checkpoint(folder.path(), options());
      EagerStep step(checkpoint.program(), at::kHalf);
      EagerWeights weights(step, at::kHalf);
      const std::string message = refusal([&] { checkpoint.load(weights); });
      if (name == kUp && bad == 1e6f)
        EXPECT_EQ(message, "nothing was refused") << "quantized from bf16, which holds a million";
      else
        EXPECT_THAT(message, AllOf(HasSubstr("'" + name + "'"), HasSubstr("[3, 5]")));
    }
  }
}

TEST(CheckpointRefusals, an_eager_step_says_which_packed_weights_it_does_not_decode) {
  LlamaFolder folder({.name = "four_bit", .four_bit = true});
  const StepCheckpoint checkpoint(folder.path(), options());
  EagerStep step(checkpoint.program(), at::kHalf);
  EagerWeights weights(step, at::kHalf);
  kernels::nf4::PackedWeights fp4;
  fp4.codebook = kernels::nf4::Codebook::kFp4;
  EXPECT_THAT(refusal([&] { weights.packed("layers.0.q_proj", fp4); }), HasSubstr("found FP4"));
}

TEST(CheckpointRefusals, damaged_files_are_named) {
  LlamaFolder folder({.name = "bf16"});
  const auto model = folder.path() / "model.safetensors";
  const StepCheckpoint checkpoint(folder.path(), options());
  std::filesystem::resize_file(model, std::filesystem::file_size(model) - 10);
  EXPECT_THAT(refusal([&] { StepCheckpoint(folder.path(), options()); }),
              AllOf(HasSubstr(model.string()), HasSubstr("it was cut")));
  EagerStep step(checkpoint.program(), at::kHalf);
  EagerWeights weights(step, at::kHalf);
  EXPECT_THAT(refusal([&] { checkpoint.load(weights); }),
              AllOf(HasSubstr(model.string()), HasSubstr("the end")));
  std::filesystem::remove(model);
  EXPECT_THAT(refusal([&] { StepCheckpoint(folder.path(), options()); }), HasSubstr(model.string()));
  folder.config["model_type"] = "qwen2";
  folder.write();
  EXPECT_THAT(
      refusal([&] { StepCheckpoint(folder.path(), options()); }),
      AllOf(HasSubstr("config.json"), HasSubstr("key 'model_type': expected \"llama\", found \"qwen2\"")));
}

TEST(CheckpointRefusals, adapters_of_another_model_are_refused) {
  LlamaFolder folder({.name = "bf16"});
  CheckpointOptions with = options();
  with.adapters = folder.path() / "adapter";
  EXPECT_THAT(refusal([&] { StepCheckpoint(folder.path(), with); }), HasSubstr("adapter_config.json"));
  const StepCheckpoint checkpoint(folder.path(), options());
  checkpoint.save_adapters(with.adapters, [&](const std::string& name) {
    const auto& b = checkpoint.program().buffers[static_cast<std::size_t>(checkpoint.program().find(name))];
    return std::vector<float>(static_cast<std::size_t>(b.rows * b.columns));
  });
  EXPECT_NO_THROW(StepCheckpoint(folder.path(), with));
  LlamaFolder other({.name = "other"});
  other.config["num_hidden_layers"] = 1;
  std::erase_if(other.tensors,
                [](const auto& named) { return named.first.find("layers.1.") != std::string::npos; });
  other.write();
  EXPECT_THAT(refusal([&] { StepCheckpoint(other.path(), with); }),
              AllOf(HasSubstr("adapter_model.safetensors"), HasSubstr("layers.1"), HasSubstr("as well")));
}

}  // namespace
}  // namespace assay::testing
