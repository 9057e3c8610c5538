// SPDX-License-Identifier: Apache-2.0
#include "kernels/compile/checkpoint/stored_file.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernels/compile/checkpoint/stored_model.hpp"
#include "kernels/compile/checkpoint/temporary_folder_test.hpp"

namespace assay::kernels::compile::checkpoint {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::refusal;
using ::testing::StartsWith;
using testing::TemporaryFolder;

constexpr const char* kTwoFloats = R"({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}})";

TEST(StoredFile, what_was_stored_is_read_back) {
  const TemporaryFolder folder;
  const std::map<std::string, TensorToStore> tensors = {
      {"matrix", {{2, 3}, {1, 2, 3, 4, 5, 6}}}, {"none", {{0, 7}, {}}}, {"vector", {{1}, {-0.5f}}}};
  store(folder.path() / "t.safetensors", tensors);
  const StoredFile file(folder.path() / "t.safetensors");
  ASSERT_EQ(file.tensors().size(), tensors.size());
  for (const auto& [name, tensor] : tensors) {
    EXPECT_EQ(file.tensors().at(name).shape, tensor.shape);
    std::vector<float> values(tensor.values.size());
    file.read(name, std::as_writable_bytes(std::span(values)));
    EXPECT_EQ(values, tensor.values) << name;
  }
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "t.safetensors.part"));
}

TEST(StoredFile, headers_that_lie_are_refused) {
  const TemporaryFolder folder;
  const char* const headers[] = {
      R"({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}})",
      R"({"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}})",
      R"({"a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}})",
      R"({"a": {"dtype": "F32", "shape": [2], "data_offsets": [8, 0]}})",
      R"({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}, "b": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}})",
      R"({"a": {"dtype": "F32", "shape": [1099511627776, 1099511627776, 4], "data_offsets": [0, 8]}})",
      R"({"a": {"dtype": "F32", "shape": [-2], "data_offsets": [0, 8]}})",
      R"({"a": {"dtype": "F7", "shape": [2], "data_offsets": [0, 8]}})",
      R"({"a": {"dtype": "F32", "shape": [2]}})",
      R"({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}, "a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}})",
      R"({"a": 3})",
      R"([])",
      R"({)"};
  for (const char* header : headers) {
    const auto path = folder.write("lie", header, std::string(8, '\1'));
    EXPECT_THAT(refusal([&] { StoredFile{path}; }),
                AllOf(StartsWith(path.string()), HasSubstr("expected"), HasSubstr("found")))
        << header;
  }
  EXPECT_NO_THROW(StoredFile(folder.write("true", kTwoFloats, std::string(8, '\1'))));
}

TEST(StoredFile, files_that_were_cut_are_refused_at_opening_and_while_reading) {
  const TemporaryFolder folder;
  for (const std::size_t bytes : {0, 5, 30}) {
    const auto path = folder.write("cut", kTwoFloats, std::string(8, '\1'));
    std::filesystem::resize_file(path, bytes);
    EXPECT_THAT(refusal([&] { StoredFile{path}; }), HasSubstr("expected a safetensors header"));
  }
  const auto path = folder.write("cut", kTwoFloats, std::string(8, '\1'));
  std::filesystem::resize_file(path, std::filesystem::file_size(path) - 1);
  EXPECT_THAT(refusal([&] { StoredFile{path}; }), HasSubstr("it was cut"));

  const StoredFile open(folder.write("later", kTwoFloats, std::string(8, '\1')));
  std::filesystem::resize_file(open.path(), 60);
  std::vector<std::byte> values(8);
  EXPECT_THAT(refusal([&] { open.read("a", values); }),
              AllOf(StartsWith(open.path().string()), HasSubstr("'a'"), HasSubstr("the end of the file")));
}

TEST(StoredFile, what_is_no_file_is_refused) {
  const TemporaryFolder folder;
  EXPECT_THAT(refusal([&] { StoredFile(folder.path() / "none"); }), HasSubstr("No such file"));
  EXPECT_THAT(refusal([&] { StoredFile{folder.path()}; }), HasSubstr("regular file"));
}

/// What fuzzing another reader of the format found, and its seeds: opened or refused, nothing else.
TEST(StoredFile, hostile_files_are_opened_or_refused) {
  const auto corpus = std::filesystem::path(ASSAY_TEST_DATA).parent_path() / "fuzz/corpus/safetensors";
  int opened = 0, refused = 0;
  for (const auto& entry : std::filesystem::directory_iterator(corpus)) {
    try {
      const StoredFile file(entry.path());
      for (const auto& [name, tensor] : file.tensors()) {
        std::vector<std::byte> bytes(tensor.bytes);
        file.read(name, bytes);
      }
      ++opened;
    } catch (const std::invalid_argument& error) {
      EXPECT_THAT(error.what(), HasSubstr("expected")) << entry.path();
      ++refused;
    }
  }
  EXPECT_GT(opened, 5);
  EXPECT_GT(refused, 5);
}

TEST(StoredModel, shards_hold_what_the_index_promises_or_are_refused) {
  const TemporaryFolder folder;
  store(folder.path() / "one.safetensors", {{"a", {{1}, {1.0f}}}});
  store(folder.path() / "two.safetensors", {{"b", {{1}, {2.0f}}}});
  const auto open = [&](const std::string& map) {
    folder.write("model.safetensors.index.json", "{\"weight_map\": " + map + "}");
    return StoredModel(folder.path());
  };
  const StoredModel model = open(R"({"a": "one.safetensors", "b": "two.safetensors"})");
  float value = 0;
  model.read("b", std::as_writable_bytes(std::span(&value, 1)));
  EXPECT_EQ(value, 2.0f);
  EXPECT_THAT(refusal([&] { model.tensor("c"); }),
              AllOf(HasSubstr(folder.path().string()), HasSubstr("'c'")));
  EXPECT_THAT(refusal([&] { open(R"({"c": "one.safetensors"})"); }), HasSubstr("'c' in one.safetensors"));
  EXPECT_THAT(refusal([&] { open(R"({"a": "three.safetensors"})"); }), HasSubstr("three.safetensors"));
  EXPECT_THAT(refusal([&] { open(R"({"a": "../one.safetensors"})"); }), HasSubstr("beside the index"));
  EXPECT_THAT(refusal([&] { open(R"([])"); }), HasSubstr("'weight_map'"));
}

TEST(Store, what_cannot_be_written_leaves_nothing_behind) {
  const TemporaryFolder folder;
  EXPECT_THROW(store(folder.path() / "a" / "t", {{"a", {{1}, {1.0f}}}}), std::runtime_error);
  EXPECT_THROW(store(folder.path() / "t", {{"a", {{2}, {1.0f}}}}), std::invalid_argument);
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

}  // namespace
}  // namespace assay::kernels::compile::checkpoint
