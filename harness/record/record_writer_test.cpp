// SPDX-License-Identifier: Apache-2.0
// A record file appears whole or not at all.
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <stdexcept>

#include "harness/record/record.hpp"
#include "harness/record/testing.hpp"

namespace assay::harness {
namespace {

namespace fs = std::filesystem;

class Writer : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ =
        fs::temp_directory_path() /
        ("assay_writer_" + std::string(::testing::UnitTest::GetInstance()->current_test_info()->name()) +
         std::to_string(::getpid()));
    fs::remove_all(folder_);
    fs::create_directory(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::size_t files_left() const {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()));
  }

  fs::path folder_;
};

TEST_F(Writer, committed_lines_are_read_back) {
  const fs::path file = folder_ / "run.jsonl";
  RecordWriter writer(file);
  writer.write(testing::passed_record());
  writer.write(testing::check_with("noise", "{}"));
  EXPECT_FALSE(fs::exists(file));
  writer.commit();
  const RecordFile read = read_records(file);
  EXPECT_EQ(read.records.size(), 1u);
  EXPECT_EQ(read.checks.size(), 1u);
  EXPECT_EQ(files_left(), 1u);
}

TEST_F(Writer, unwinding_without_commit_leaves_nothing) {
  const auto interrupted = [&] {
    RecordWriter writer(folder_ / "run.jsonl");
    writer.write(testing::passed_record());
    throw std::runtime_error("stopped");
  };
  EXPECT_THROW(interrupted(), std::runtime_error);
  EXPECT_EQ(files_left(), 0u);
}

TEST_F(Writer, an_earlier_file_stays_until_commit) {
  const fs::path file = folder_ / "run.jsonl";
  std::ofstream(file) << "earlier\n";
  {
    RecordWriter writer(file);
    writer.write(testing::passed_record());
  }
  std::string content;
  std::getline(std::ifstream(file), content);
  EXPECT_EQ(content, "earlier");
}

TEST_F(Writer, a_refused_record_leaves_the_lines_before_it_whole) {
  const fs::path file = folder_ / "run.jsonl";
  RecordWriter writer(file);
  writer.write(testing::passed_record());
  EXPECT_THROW(writer.write(testing::record_with(Skipped{""})), std::invalid_argument);
  writer.commit();
  EXPECT_EQ(read_records(file).records.size(), 1u);
}

TEST_F(Writer, missing_folders_are_made) {
  RecordWriter writer(folder_ / "results" / "nf4" / "run.jsonl");
  writer.write(testing::passed_record());
  writer.commit();
  EXPECT_TRUE(fs::is_regular_file(folder_ / "results" / "nf4" / "run.jsonl"));
}

TEST_F(Writer, places_that_cannot_hold_a_file_are_refused_at_once) {
  EXPECT_THROW(RecordWriter{folder_}, UsageError);
  EXPECT_THROW(RecordWriter("/dev/null"), UsageError);
  EXPECT_THROW(RecordWriter("/proc/no_such_folder/run.jsonl"), UsageError);
  EXPECT_EQ(files_left(), 0u);
}

TEST_F(Writer, a_line_after_commit_is_a_mistake) {
  RecordWriter writer(folder_ / "run.jsonl");
  writer.write(testing::passed_record());
  writer.commit();
  EXPECT_THROW(writer.write(testing::passed_record()), std::logic_error);
}

}  // namespace
}  // namespace assay::harness
