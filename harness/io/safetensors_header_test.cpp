// SPDX-License-Identifier: Apache-2.0
// What the header parser takes and what it refuses, each refusal with the words a user needs.
#include "harness/io/safetensors_header.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "harness/core/outcome.hpp"

namespace assay::harness {
namespace {

using ::testing::HasSubstr;

std::string file_with(const std::string& header, std::size_t data_bytes) {
  const std::uint64_t length = header.size();
  std::string file(sizeof(length), '\0');
  std::memcpy(file.data(), &length, sizeof(length));
  return file + header + std::string(data_bytes, '\x5A');
}

SafetensorsHeader parse(const std::string& file) {
  return parse_header(std::as_bytes(std::span(file)));
}

std::string complaint(const std::string& file) {
  try {
    parse(file);
  } catch (const UsageError& error) {
    return error.what();
  }
  return "accepted";
}

TEST(SafetensorsHeader, tensors_metadata_and_padding_are_read) {
  const auto header =
      parse(file_with(R"({"__metadata__":{"format":"pt"},"b":{"dtype":"F32","shape":[2,3],)"
                      R"("data_offsets":[3,27]},"a":{"data_offsets":[0,3],"shape":[3],"dtype":"U8"}}   )",
                      27));
  ASSERT_EQ(header.tensors.size(), 2U);
  EXPECT_EQ(header.metadata.at("format"), "pt");
  const auto& b = header.tensors.at("b");
  EXPECT_EQ(b.dtype, StoredDtype::kF32);
  EXPECT_THAT(b.shape, ::testing::ElementsAre(2, 3));
  EXPECT_EQ(b.begin, 3U);
  EXPECT_EQ(b.end, 27U);
}

TEST(SafetensorsHeader, scalars_and_empty_tensors_take_their_place_in_the_layout) {
  const auto header = parse(file_with(R"({"none":{"dtype":"F16","shape":[0,7],"data_offsets":[4,4]},)"
                                      R"("one":{"dtype":"I32","shape":[],"data_offsets":[0,4]}})",
                                      4));
  EXPECT_EQ(header.tensors.at("none").begin, header.tensors.at("none").end);
  EXPECT_EQ(header.tensors.at("one").end, 4U);
}

TEST(SafetensorsHeader, a_file_without_tensors_is_a_file) {
  EXPECT_TRUE(parse(file_with("{}", 0)).tensors.empty());
}

TEST(SafetensorsHeader, every_dtype_of_the_format_has_its_width) {
  for (const auto& [name, elements, bytes] : std::initializer_list<std::tuple<std::string, int, int>>{
           {"BOOL", 3, 3},    {"U8", 3, 3},      {"I8", 3, 3},          {"F8_E4M3", 3, 3},
           {"F8_E5M2", 3, 3}, {"F8_E8M0", 3, 3}, {"F8_E4M3FNUZ", 3, 3}, {"F8_E5M2FNUZ", 3, 3},
           {"F4", 4, 2},      {"F6_E2M3", 4, 3}, {"F6_E3M2", 8, 6},     {"I16", 3, 6},
           {"U16", 3, 6},     {"F16", 3, 6},     {"BF16", 3, 6},        {"I32", 3, 12},
           {"U32", 3, 12},    {"F32", 3, 12},    {"C64", 3, 24},        {"F64", 3, 24},
           {"I64", 3, 24},    {"U64", 3, 24}}) {
    const auto text =
        fmt::format(R"({{"t":{{"dtype":"{}","shape":[{}],"data_offsets":[0,{}]}}}})", name, elements, bytes);
    EXPECT_EQ(complaint(file_with(text, static_cast<std::size_t>(bytes))), "accepted") << name;
    const auto longer = fmt::format(R"({{"t":{{"dtype":"{}","shape":[{}],"data_offsets":[0,{}]}}}})", name,
                                    elements, bytes + 1);
    EXPECT_THAT(complaint(file_with(longer, static_cast<std::size_t>(bytes) + 1)),
                HasSubstr("bytes for shape"))
        << name;
  }
}

struct Refusal {
  std::string name;
  std::string header;
  std::size_t data_bytes;
  std::string words;
};

class RefusedHeader : public ::testing::TestWithParam<Refusal> {};

TEST_P(RefusedHeader, says_why) {
  EXPECT_THAT(complaint(file_with(GetParam().header, GetParam().data_bytes)), HasSubstr(GetParam().words));
}

std::string object(const std::vector<std::string>& members) {
  return fmt::format("{{{}}}", fmt::join(members, ","));
}
/// One tensor "t" whose description is `fields`.
std::string with_fields(const std::string& fields) {
  return R"({"t":{)" + fields + "}}";
}
std::string u8(const std::string& name, int begin, int end) {
  return fmt::format(R"("{}":{{"dtype":"U8","shape":[{}],"data_offsets":[{},{}]}})", name, end - begin, begin,
                     end);
}

const Refusal kRefusals[] = {
    {"no_json", "{nothing", 0, "found a syntax error"},
    {"not_an_object", "[1]", 0, "to start with '{', found '['"},
    {"no_header", "", 0, "found no header at all"},
    {"text_after_the_object", "{} {}", 0, "syntax error"},
    {"leading_space", " {}", 0, "to start with '{'"},
    {"byte_order_mark", "\xEF\xBB\xBF{}", 0, "byte-order mark"},
    {"nul_as_the_end", std::string("{}\0\xFF", 4), 0, "found a NUL at byte 2 of 4"},
    {"not_utf8", "{\"\xC3\x28\":1}", 0, "syntax error"},
    {"deep_nesting", "{\"t\":{\"shape\":[[[[[[", 0, "found an array"},
    {"tensor_that_is_a_number", R"({"t":1})", 0,
     "expected an object with dtype, shape and data_offsets, found 1"},
    {"tensor_that_is_null", R"({"t":null})", 0, "found null"},
    {"tensor_that_is_an_array", R"({"t":[]})", 0, "found an array"},
    {"object_in_a_tensor", with_fields(R"("dtype":{})"), 0, "found an object"},
    {"metadata_that_is_no_object", R"({"__metadata__":"x"})", 0, "found the string 'x'"},
    {"metadata_value_that_is_no_string", R"({"__metadata__":{"a":true}})", 0,
     "expected a string for 'a', found true"},
    {"metadata_twice", R"({"__metadata__":{},"__metadata__":{}})", 0,
     "expected '__metadata__' once in the header"},
    {"metadata_key_twice", R"({"__metadata__":{"a":"","a":""}})", 0, "expected 'a' once in __metadata__"},
    {"name_twice", object({u8("t", 0, 1), u8("t", 0, 1)}), 1, "expected 't' once in the header"},
    {"field_twice", with_fields(R"("dtype":"U8","dtype":"U8")"), 0, "expected 'dtype' once in tensor 't'"},
    {"field_missing", with_fields(R"("dtype":"U8","shape":[1])"), 1,
     "expected the field data_offsets, found none"},
    {"field_unknown", with_fields(R"("strides":[1])"), 0, "found 'strides'"},
    {"dtype_unknown", with_fields(R"("dtype":"F128")"), 0, "U64, found 'F128'"},
    {"dtype_that_is_a_number", with_fields(R"("dtype":3)"), 0, "expected dtype to be a string, found 3"},
    {"shape_that_is_a_string", with_fields(R"("shape":"3")"), 0, "expected shape to be an array of integers"},
    {"negative_extent", with_fields(R"("shape":[-1])"), 0, "integers from 0 to 2^63 - 1 in shape, found -1"},
    {"fractional_extent", with_fields(R"("shape":[1.0])"), 0, "found the number '1.0'"},
    {"extent_beyond_63_bits", with_fields(R"("shape":[9223372036854775808])"), 0,
     "found 9223372036854775808"},
    {"extent_beyond_64_bits", with_fields(R"("shape":[18446744073709551616])"), 0, "found the number"},
    {"size_that_overflows",
     with_fields(R"("dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0])"), 0,
     "expected fewer than 2^63 bits"},
    {"one_offset", with_fields(R"("dtype":"U8","shape":[0],"data_offsets":[0])"), 0, "found 1 numbers"},
    {"three_offsets", with_fields(R"("dtype":"U8","shape":[0],"data_offsets":[0,0,0])"), 0,
     "found a third one"},
    {"end_before_begin", with_fields(R"("dtype":"U8","shape":[1],"data_offsets":[1,0])"), 1,
     "range within the 1 bytes"},
    {"range_past_the_file", object({u8("t", 0, 9)}), 8,
     "within the 8 bytes of data in the file, found data_offsets [0, 9]"},
    {"too_few_bytes_for_the_shape", with_fields(R"("dtype":"F32","shape":[2],"data_offsets":[0,4])"), 4,
     "expected 8 bytes for shape [2] of F32, found data_offsets [0, 4]"},
    {"half_a_byte", with_fields(R"("dtype":"F4","shape":[3],"data_offsets":[0,2])"), 2, "which is 12 bits"},
    {"overlap", object({u8("a", 0, 4), u8("b", 3, 6)}), 6, "tensor 'b': expected it to start at byte 4"},
    {"same_range_twice", object({u8("a", 0, 4), u8("b", 0, 4)}), 4, "expected it to start at byte 4"},
    {"hole", object({u8("a", 0, 4), u8("b", 5, 6)}), 6, "tensor 'b': expected it to start at byte 4"},
    {"hole_in_front", object({u8("a", 1, 4)}), 4, "expected it to start at byte 0"},
    {"trailing_bytes", object({u8("a", 0, 4)}), 7, "found 3 bytes behind the last tensor"},
};

INSTANTIATE_TEST_SUITE_P(SafetensorsHeader, RefusedHeader, ::testing::ValuesIn(kRefusals),
                         [](const auto& which) { return which.param.name; });

TEST(SafetensorsHeader, a_file_cut_anywhere_is_refused) {
  const std::string whole = file_with(object({u8("a", 0, 4), u8("b", 4, 9)}), 9);
  ASSERT_EQ(complaint(whole), "accepted");
  for (std::size_t kept = 0; kept < whole.size(); ++kept) {
    EXPECT_THAT(complaint(whole.substr(0, kept)), HasSubstr("expected")) << kept;
  }
}

TEST(SafetensorsHeader, a_length_beyond_the_limit_is_refused_before_anything_is_read) {
  for (const std::uint64_t length : {kMaxHeaderBytes + 1, std::uint64_t{1} << 63, ~std::uint64_t{0}}) {
    std::string file = file_with("{}", 0);
    std::memcpy(file.data(), &length, sizeof(length));
    EXPECT_THAT(complaint(file), HasSubstr("expected a header of at most 100000000 bytes"));
  }
}

TEST(SafetensorsHeader, a_shape_of_a_million_extents_is_refused_at_the_65th) {
  std::string shape = "1";
  for (int i = 0; i < 1'000'000; ++i) {
    shape += ",1";
  }
  EXPECT_THAT(complaint(file_with(with_fields(fmt::format(R"("shape":[{}])", shape)), 0)),
              HasSubstr("at most 64 dimensions"));
}

TEST(SafetensorsHeader, names_in_messages_are_cut_and_escaped) {
  const std::string name(100'000, 'n');
  const std::string text = complaint(file_with(fmt::format(R"({{"\u001b[31m{}":0}})", name), 0));
  EXPECT_LT(text.size(), 300U);
  EXPECT_THAT(text, HasSubstr("\\x1b[31mnnn"));
  EXPECT_THAT(text, HasSubstr("n…'"));
}

TEST(SafetensorsHeader, views_are_the_ranges_of_the_file) {
  std::string file = file_with(object({u8("b", 0, 2), u8("a", 2, 5)}), 5);
  file.replace(file.size() - 5, 5, "BBaaa");
  const auto bytes = std::as_bytes(std::span(file));
  const TensorTable table = tensors_in(bytes, parse_header(bytes));
  EXPECT_EQ(
      std::string(reinterpret_cast<const char*>(table.at("a").bytes.data()), table.at("a").bytes.size()),
      "aaa");
  EXPECT_EQ(
      std::string(reinterpret_cast<const char*>(table.at("b").bytes.data()), table.at("b").bytes.size()),
      "BB");
}

}  // namespace
}  // namespace assay::harness
