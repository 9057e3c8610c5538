// SPDX-License-Identifier: Apache-2.0
// A 4-bit checkpoint of the real wheel with one thing wrong: each is refused, and the message names the
// weight and the part.
#include "suites/nf4/checkpoint_4bit.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <memory>

#include "harness/core/outcome.hpp"
#include "harness/io/safetensors.hpp"
#include "suites/nf4/quant_state.hpp"

namespace assay::suites::nf4 {
namespace {

using harness::StoredDtype;
using harness::StoredTensor;
using harness::TensorTable;
using harness::UsageError;
using ::testing::AllOf;
using ::testing::HasSubstr;

const std::string kWeight = "model.layers.0.mlp.down_proj.weight";
const std::string kState = ".quant_state.bitsandbytes__nf4";

/// A fixture's tensors, to be spoiled one at a time. Changed contents live here.
class Spoiled {
 public:
  explicit Spoiled(const std::string& fixture)
      : file_(harness::SafetensorsFile::open(std::filesystem::path(ASSAY_TEST_DATA) / fixture)),
        table_(file_.tensors()) {}

  StoredTensor& part(const std::string& suffix) { return table_.at(kWeight + suffix); }
  void drop(const std::string& suffix) { table_.erase(kWeight + suffix); }
  void rename(const std::string& from, const std::string& to) {
    auto node = table_.extract(kWeight + from);
    node.key() = kWeight + to;
    table_.insert(std::move(node));
  }
  void cut(const std::string& suffix, std::int64_t elements) {
    StoredTensor& tensor = part(suffix);
    tensor.shape = {elements};
    tensor.bytes = tensor.bytes.first(harness::stored_bytes(tensor.dtype, tensor.shape));
  }
  void put_float(const std::string& suffix, std::size_t at, float value) {
    std::string content = text(suffix);
    std::memcpy(content.data() + at * sizeof(value), &value, sizeof(value));
    replace(suffix, content);
  }
  void put_text(const std::string& old_text, const std::string& new_text) {
    std::string content = text(kState);
    const auto at = content.find(old_text);
    ASSERT_NE(at, std::string::npos) << content;
    replace(kState, content.replace(at, old_text.size(), new_text));
  }
  std::string text(const std::string& suffix) {
    const auto bytes = part(suffix).bytes;
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
  void replace(const std::string& suffix, const std::string& content) {
    contents_.push_back(std::make_unique<std::string>(content));
    part(suffix).bytes = std::as_bytes(std::span(*contents_.back()));
  }

  std::string complaint() const {
    std::set<std::string_view> claimed;
    try {
      find_4bit(table_, claimed);
    } catch (const UsageError& error) {
      return error.what();
    }
    return "accepted";
  }

 private:
  harness::SafetensorsFile file_;
  TensorTable table_;
  std::vector<std::unique_ptr<std::string>> contents_;
};

struct Fault {
  std::string name;
  std::function<void(Spoiled&)> spoil;
  std::string words;
};

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

const Fault kFaults[] = {
    {"weight_missing", [](Spoiled& s) { s.drop(""); }, "found no tensor of that name"},
    {"absmax_missing", [](Spoiled& s) { s.drop(".absmax"); }, ".absmax expected, found no tensor"},
    {"quant_map_missing", [](Spoiled& s) { s.drop(".quant_map"); }, ".quant_map expected, found no tensor"},
    {"nested_absmax_missing", [](Spoiled& s) { s.drop(".nested_absmax"); },
     ".nested_absmax expected, found no tensor"},
    {"nested_map_missing", [](Spoiled& s) { s.drop(".nested_quant_map"); },
     ".nested_quant_map expected, found no tensor"},
    {"state_missing", [](Spoiled& s) { s.drop(kState); }, "found neither"},
    {"state_of_an_unknown_type", [](Spoiled& s) { s.rename(kState, ".quant_state.bitsandbytes__int4"); },
     "expected quant_type nf4 or fp4, found 'int4'"},
    {"state_of_the_other_type", [](Spoiled& s) { s.rename(kState, ".quant_state.bitsandbytes__fp4"); },
     "expected quant_type fp4, found nf4"},
    {"state_in_floats", [](Spoiled& s) { s.part(kState).dtype = StoredDtype::kI8; },
     "expected JSON text in U8, found I8"},
    {"weight_short", [](Spoiled& s) { s.cut("", 8447); },
     "expected 8448 bytes for 16896 weights, found 8447"},
    {"absmax_short", [](Spoiled& s) { s.cut(".absmax", 263); },
     "expected 264 values of U8, found shape [263] of U8"},
    {"absmax_of_another_dtype", [](Spoiled& s) { s.part(".absmax").dtype = StoredDtype::kI8; },
     "found shape [264] of I8"},
    {"nested_absmax_short", [](Spoiled& s) { s.cut(".nested_absmax", 1); },
     "expected 2 values of F32, found shape [1]"},
    {"nested_map_short", [](Spoiled& s) { s.cut(".nested_quant_map", 255); }, "expected 256 values of F32"},
    {"quant_map_short", [](Spoiled& s) { s.cut(".quant_map", 15); },
     "expected 16 values of F32, found shape [15]"},
    {"quant_map_off_by_an_ulp",
     [](Spoiled& s) { s.put_float(".quant_map", 3, std::nextafter(-0.39491748809814453F, 0.0F)); },
     "table bit by bit, found -0.39491746 instead of -0.3949175 at 3"},
    {"quant_map_with_minus_zero", [](Spoiled& s) { s.put_float(".quant_map", 7, -0.0F); },
     "found -0 instead of 0 at 7"},
    {"nested_absmax_nan", [](Spoiled& s) { s.put_float(".nested_absmax", 1, kNan); },
     ".nested_absmax: expected finite values, found nan at 1"},
    {"nested_map_infinite", [](Spoiled& s) { s.put_float(".nested_quant_map", 200, kInfinity); },
     "found inf at 200"},
    {"block_size_48", [](Spoiled& s) { s.put_text(R"("blocksize": 64)", R"("blocksize": 48)"); },
     "blocksize: expected a power of two from 32 to 4096, found '48'"},
    {"block_size_8192", [](Spoiled& s) { s.put_text(R"("blocksize": 64)", R"("blocksize": 8192)"); },
     "found '8192'"},
    {"block_size_16", [](Spoiled& s) { s.put_text(R"("blocksize": 64)", R"("blocksize": 16)"); },
     "found '16'"},
    {"block_size_0", [](Spoiled& s) { s.put_text(R"("blocksize": 64)", R"("blocksize": 0)"); }, "found '0'"},
    {"block_size_negative", [](Spoiled& s) { s.put_text(R"("blocksize": 64)", R"("blocksize": -64)"); },
     "found '-64'"},
    {"block_size_text", [](Spoiled& s) { s.put_text(R"("blocksize": 64)", R"("blocksize": "64")"); },
     "found '\"64\"'"},
    {"block_size_that_disagrees", [](Spoiled& s) { s.put_text(R"("blocksize": 64)", R"("blocksize": 128)"); },
     "expected 132 values of U8, found shape [264]"},
    {"nested_block_size_300",
     [](Spoiled& s) { s.put_text(R"("nested_blocksize": 256)", R"("nested_blocksize": 300)"); },
     "nested_blocksize: expected a power of two"},
    {"nested_block_size_that_disagrees",
     [](Spoiled& s) { s.put_text(R"("nested_blocksize": 256)", R"("nested_blocksize": 128)"); },
     "expected 3 values of F32"},
    {"dtype_unknown", [](Spoiled& s) { s.put_text("bfloat16", "float8_e4m3fn"); },
     "dtype: expected float16, bfloat16 or float32, found '\"float8_e4m3fn\"'"},
    {"nested_dtype_bfloat16",
     [](Spoiled& s) { s.put_text(R"("nested_dtype": "float32")", R"("nested_dtype": "bfloat16")"); },
     "nested_dtype: expected float32"},
    {"shape_null", [](Spoiled& s) { s.put_text("[66, 256]", "null"); },
     "shape: expected an array of positive integers"},
    {"shape_empty", [](Spoiled& s) { s.put_text("[66, 256]", "[]"); }, "shape: expected an array"},
    {"shape_with_zero", [](Spoiled& s) { s.put_text("[66, 256]", "[66, 0]"); }, "shape: expected an array"},
    {"shape_negative", [](Spoiled& s) { s.put_text("[66, 256]", "[-66, -256]"); },
     "shape: expected an array"},
    {"shape_that_overflows", [](Spoiled& s) { s.put_text("[66, 256]", "[4294967296, 4294967296]"); },
     "at most 2^62 weights"},
    {"shape_beyond_64_bits", [](Spoiled& s) { s.put_text("[66, 256]", "[1e30, 1]"); },
     "shape: expected an array"},
    {"shape_larger_than_the_weight", [](Spoiled& s) { s.put_text("[66, 256]", "[66, 258]"); },
     "for 17028 weights"},
    {"field_unknown", [](Spoiled& s) { s.put_text("nested_offset", "nested_mean"); }, "found 'nested_mean'"},
    {"field_twice",
     [](Spoiled& s) { s.put_text(R"("blocksize": 64)", R"("blocksize": 64, "blocksize": 32)"); },
     "'blocksize' twice"},
    {"no_json", [](Spoiled& s) { s.replace(kState, "nf4"); }, "syntax error"},
    {"state_too_long", [](Spoiled& s) { s.replace(kState, std::string(5000, ' ')); },
     "at most 4096 bytes of JSON"},
};

class Spoiled4bit : public ::testing::TestWithParam<Fault> {};

TEST_P(Spoiled4bit, is_refused_by_name) {
  Spoiled spoiled("bnb4_nested_nf4_bf16.safetensors");
  ASSERT_EQ(spoiled.complaint(), "accepted");
  GetParam().spoil(spoiled);
  EXPECT_THAT(spoiled.complaint(),
              AllOf(HasSubstr("4-bit weight '" + kWeight + "'"), HasSubstr(GetParam().words)));
}

INSTANTIATE_TEST_SUITE_P(Checkpoint, Spoiled4bit, ::testing::ValuesIn(kFaults),
                         [](const auto& which) { return which.param.name; });

TEST(Checkpoint4bit, statistics_of_something_else_are_not_taken_for_a_weight) {
  TensorTable table{{"activations.absmax", StoredTensor{StoredDtype::kF32, {0}, {}}}};
  std::set<std::string_view> claimed;
  EXPECT_TRUE(find_4bit(table, claimed).empty());
  EXPECT_TRUE(claimed.empty());
}

constexpr std::string_view kSingle =
    R"({"quant_type": "fp4", "blocksize": 64, "dtype": "float16", "shape": [3, 5, 7]})";

TEST(QuantState, of_three_dimensions_is_flattened_to_rows_of_the_last) {
  const QuantState state = parse_quant_state(kSingle, false);
  EXPECT_EQ(state.rows, 15);
  EXPECT_EQ(state.cols, 7);
}

TEST(QuantState, trailing_nuls_are_padding) {
  EXPECT_EQ(parse_quant_state(std::string(kSingle) + std::string(3, '\0'), false).quant_type, "fp4");
}

TEST(QuantState, nested_and_single_level_must_agree_with_the_tensors) {
  EXPECT_THROW(parse_quant_state(kSingle, true), UsageError);
  const std::string nested =
      R"({"quant_type": "nf4", "blocksize": 64, "dtype": "bfloat16", "shape": [128, 896], "nested_blocksize": 256,)"
      R"( "nested_dtype": "float32", "nested_offset": 0.031807661056518555})";
  EXPECT_THROW(parse_quant_state(nested, false), UsageError);
  EXPECT_EQ(parse_quant_state(nested, true).nested_offset, 0.031807661056518555F);
}

TEST(QuantState, offset_must_fit_float32) {
  for (const char* offset : {"1e39", "-1e39", "\"1\"", "null", "NaN", "1e999"}) {
    const auto text = fmt::format(
        R"({{"quant_type": "nf4", "blocksize": 64, "dtype": "float32", "shape": [64], "nested_blocksize": 256, )"
        R"("nested_dtype": "float32", "nested_offset": {}}})",
        offset);
    EXPECT_THROW(parse_quant_state(text, true), UsageError) << offset;
  }
}

}  // namespace
}  // namespace assay::suites::nf4
