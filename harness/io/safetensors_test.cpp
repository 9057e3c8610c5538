// SPDX-License-Identifier: Apache-2.0
// Files on disk: reading, writing, sharding, and every kind of path that is not what it should be.
#include "harness/io/safetensors.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <fstream>

#include "harness/core/outcome.hpp"
#include "harness/io/checkpoint_files.hpp"
#include "harness/io/strict_json.hpp"

namespace assay::harness {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// A folder of its own for each test, gone afterwards.
class SafetensorsFiles : public ::testing::Test {
 protected:
  SafetensorsFiles() {
    std::string pattern = ::testing::TempDir() + "assay-io-XXXXXX";
    folder_ = ::mkdtemp(pattern.data());
  }
  ~SafetensorsFiles() override { fs::remove_all(folder_); }

  fs::path put(const std::string& name, const std::string& content) {
    std::ofstream(folder_ / name, std::ios::binary) << content;
    return folder_ / name;
  }
  /// A file holding one U8 tensor for each name, its value the name.
  fs::path put_tensors(const std::string& file, const std::vector<std::string>& names) {
    std::vector<TensorToWrite> tensors;
    for (const auto& name : names) {
      tensors.push_back(
          {name, StoredDtype::kU8, {static_cast<std::int64_t>(name.size())}, std::as_bytes(std::span(name))});
    }
    write_safetensors(folder_ / file, tensors);
    return folder_ / file;
  }
  std::vector<std::string> listing() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder_)) {
      names.push_back(entry.path().filename());
    }
    std::sort(names.begin(), names.end());
    return names;
  }

  fs::path folder_;
};

template <class Action>
std::string complaint(Action action) {
  try {
    action();
  } catch (const UsageError& error) {
    return error.what();
  }
  return "accepted";
}

std::string open_complaint(const fs::path& path) {
  return complaint([&] { CheckpointFiles::open(path); });
}

TEST_F(SafetensorsFiles, what_was_written_is_read_back) {
  const std::vector<float> floats{1.5F, -2.0F, 0.25F, 8.0F, 3.0F, -0.0F};
  const std::vector<std::uint8_t> bytes{1, 2, 3};
  const std::vector<TensorToWrite> tensors{
      {"bytes", StoredDtype::kU8, {3}, std::as_bytes(std::span(bytes))},
      {"none", StoredDtype::kF16, {0, 4}, {}},
      {"matrix \"quoted\" ü", StoredDtype::kF32, {2, 3}, std::as_bytes(std::span(floats))},
  };
  write_safetensors(folder_ / "t.safetensors", tensors, {{"format", "pt"}, {"note", "line\nbreak"}});

  SafetensorsFile opened = SafetensorsFile::open(folder_ / "t.safetensors");
  const SafetensorsFile file = std::move(opened);
  EXPECT_THAT(file.names(), ElementsAre("bytes", "matrix \"quoted\" ü", "none"));
  EXPECT_EQ(file.metadata().at("note"), "line\nbreak");
  for (const auto& tensor : tensors) {
    const StoredTensor& view = file.view(tensor.name);
    EXPECT_EQ(view.dtype, tensor.dtype);
    EXPECT_EQ(view.shape, tensor.shape);
    EXPECT_EQ(as_text(view.bytes), as_text(tensor.bytes));
  }
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(file.view("matrix \"quoted\" ü").bytes.data()) % alignof(double),
            0U);
}

TEST_F(SafetensorsFiles, a_view_of_an_unknown_name_says_so) {
  const auto file = SafetensorsFile::open(put_tensors("t.safetensors", {"a"}));
  EXPECT_THAT(complaint([&] { file.view("b"); }),
              AllOf(HasSubstr("t.safetensors"), HasSubstr("expected a tensor 'b'")));
}

TEST_F(SafetensorsFiles, writing_replaces_a_file_in_one_step_and_leaves_nothing_beside_it) {
  put("t.safetensors", "older content");
  put_tensors("t.safetensors", {"a"});
  EXPECT_THAT(listing(), ElementsAre("t.safetensors"));
  EXPECT_THAT(SafetensorsFile::open(folder_ / "t.safetensors").names(), ElementsAre("a"));
}

TEST_F(SafetensorsFiles, a_refused_write_leaves_the_old_file_alone) {
  put("t.safetensors", "older content");
  const std::vector<std::byte> four(4);
  const auto write = [&](std::vector<TensorToWrite> tensors) {
    return complaint([&] { write_safetensors(folder_ / "t.safetensors", tensors); });
  };
  EXPECT_THAT(write({{"a", StoredDtype::kF32, {2}, four}}),
              HasSubstr("expected 8 bytes for shape [2] of F32, found 4"));
  EXPECT_THAT(write({{"a", StoredDtype::kU8, {-4}, four}}), HasSubstr("expected extents >= 0"));
  EXPECT_THAT(write({{"a", StoredDtype::kU8, {4}, four}, {"a", StoredDtype::kU8, {4}, four}}),
              HasSubstr("used once"));
  EXPECT_THAT(write({{"__metadata__", StoredDtype::kU8, {4}, four}}), HasSubstr("not reserved"));
  EXPECT_THAT(write({{"\xFF", StoredDtype::kU8, {4}, four}}), HasSubstr("UTF-8"));
  EXPECT_THAT(listing(), ElementsAre("t.safetensors"));
  EXPECT_EQ(fs::file_size(folder_ / "t.safetensors"), std::string("older content").size());
}

TEST_F(SafetensorsFiles, a_path_that_cannot_be_written_is_named) {
  EXPECT_THAT(complaint([&] { write_safetensors(folder_ / "missing" / "t.safetensors", {}); }),
              AllOf(HasSubstr("missing/t.safetensors"), HasSubstr("No such file")));
  fs::create_directory(folder_ / "taken.safetensors");
  EXPECT_THAT(complaint([&] { write_safetensors(folder_ / "taken.safetensors", {}); }),
              HasSubstr("put in place"));
  EXPECT_THAT(listing(), ElementsAre("taken.safetensors"));
}

TEST_F(SafetensorsFiles, paths_that_are_no_files_are_refused) {
  EXPECT_THAT(open_complaint(folder_ / "missing.safetensors"), HasSubstr("No such file"));
  EXPECT_THAT(open_complaint(put("empty.safetensors", "")), HasSubstr("an empty file"));
  EXPECT_THAT(open_complaint(put("short.safetensors", "1234567")), HasSubstr("found a file of 7 bytes"));
  EXPECT_THAT(complaint([&] { SafetensorsFile::open(folder_); }), HasSubstr("found a directory"));
  ASSERT_EQ(::mkfifo((folder_ / "pipe").c_str(), 0600), 0);
  EXPECT_THAT(open_complaint(folder_ / "pipe"), HasSubstr("no regular file"));
}

TEST_F(SafetensorsFiles, an_unreadable_file_is_refused) {
  const fs::path path = put_tensors("t.safetensors", {"a"});
  fs::permissions(path, fs::perms::none);
  if (std::ifstream(path).good()) {
    GTEST_SKIP() << "this user may read everything";
  }
  EXPECT_THAT(open_complaint(path), HasSubstr("Permission denied"));
}

TEST_F(SafetensorsFiles, an_index_opens_all_its_shards) {
  put_tensors("one.safetensors", {"a", "b"});
  put_tensors("two.safetensors", {"c"});
  const auto index =
      put("model.safetensors.index.json",
          R"({"metadata":{"total_size":3},"weight_map":{"a":"one.safetensors","b":"one.safetensors",)"
          R"("c":"two.safetensors"}})");
  for (const fs::path& path : {index, folder_}) {
    const CheckpointFiles checkpoint = CheckpointFiles::open(path);
    EXPECT_EQ(checkpoint.files().size(), 2U);
    EXPECT_EQ(as_text(checkpoint.tensors().at("c").bytes), "c");
    EXPECT_EQ(as_text(checkpoint.tensors().at("a").bytes), "a");
  }
}

TEST_F(SafetensorsFiles, a_directory_is_resolved_when_it_leaves_no_choice) {
  EXPECT_THAT(open_complaint(folder_), HasSubstr("found 0 and 0 of them"));
  put_tensors("adapter.safetensors", {"x"});
  EXPECT_TRUE(CheckpointFiles::open(folder_).tensors().contains("x"));
  put_tensors("other.safetensors", {"y"});
  EXPECT_THAT(open_complaint(folder_), HasSubstr("found 0 and 2 of them; pass the file"));
  put_tensors("model.safetensors", {"z"});
  EXPECT_TRUE(CheckpointFiles::open(folder_).tensors().contains("z"));
}

TEST_F(SafetensorsFiles, an_index_that_lies_is_refused) {
  put_tensors("one.safetensors", {"a", "b"});
  put_tensors("two.safetensors", {"b"});
  const auto index = [&](const std::string& content) {
    return open_complaint(put("m.safetensors.index.json", content));
  };
  EXPECT_THAT(index("{"), HasSubstr("syntax error"));
  EXPECT_THAT(index("[]"), HasSubstr("object weight_map"));
  EXPECT_THAT(index(R"({"weight_map":{}})"), HasSubstr("object weight_map"));
  EXPECT_THAT(index(R"({"weight_map":{"a":3}})"),
              HasSubstr("expected the name of a file beside the index, found '3'"));
  EXPECT_THAT(index(R"({"weight_map":{"a":"../one.safetensors"}})"), HasSubstr("beside the index"));
  EXPECT_THAT(index(R"({"weight_map":{"a":"/etc/passwd"}})"), HasSubstr("beside the index"));
  EXPECT_THAT(index(R"({"weight_map":{"a":".."}})"), HasSubstr("beside the index"));
  EXPECT_THAT(index(R"({"weight_map":{"a":"gone.safetensors"}})"), HasSubstr("No such file"));
  EXPECT_THAT(index(R"({"weight_map":{"q":"one.safetensors"}})"),
              HasSubstr("expected tensor 'q' in 'one.safetensors'"));
  EXPECT_THAT(index(R"({"weight_map":{"a":"one.safetensors","a":"two.safetensors"}})"),
              HasSubstr("'a' twice"));
  EXPECT_THAT(index(R"({"weight_map":{"a":"one.safetensors","b":"two.safetensors"}})"),
              HasSubstr("expected tensor 'b' in one shard"));
}

TEST(StrictJson, depth_size_and_what_the_lexer_swallows_are_refused) {
  const auto parse = [](std::string_view text) {
    return complaint([&] { parse_strict_json(text, {.max_bytes = 40, .max_depth = 2}); });
  };
  EXPECT_EQ(parse(R"({"a":[1,2],"b":{"a":1}})"), "accepted");
  EXPECT_THAT(parse("[[[]]]"), HasSubstr("nested at most 2 deep"));
  EXPECT_THAT(parse(std::string(41, ' ')), HasSubstr("at most 40 bytes of JSON, found 41"));
  EXPECT_THAT(parse(R"({"a":{"b":1,"b":2}})"), HasSubstr("'b' twice"));
  EXPECT_THAT(parse(std::string_view("{}\0{}", 5)), HasSubstr("NUL"));
  EXPECT_THAT(parse("\xEF\xBB\xBF{}"), HasSubstr("byte-order mark"));
  EXPECT_THAT(parse("\"\xFF\""), HasSubstr("syntax error"));
}

TEST(Quote, cuts_between_characters) {
  const std::string text = std::string(119, 'x') + "ü" + "tail";
  EXPECT_EQ(quote(text), "'" + std::string(119, 'x') + "…'");
}

}  // namespace
}  // namespace assay::harness
