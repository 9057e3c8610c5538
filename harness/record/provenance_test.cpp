// SPDX-License-Identifier: Apache-2.0
// The digests compiled in are those of the files in the checkout, and their combination names files and
// folders.
#include "harness/record/provenance.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <regex>
#include <stdexcept>

#include "harness/record/sha256.hpp"

namespace assay::harness {
namespace {

std::string contents(const std::string& path) {
  std::ifstream file(built_from() + '/' + path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(Provenance, digests_are_those_of_the_files) {
  if (!std::ifstream(built_from() + "/CMakeLists.txt")) {
    GTEST_SKIP() << "the checkout this was built from is not on this machine";
  }
  for (const char* path : {"harness/record/provenance.hpp", "harness/record/sha256.cpp"}) {
    EXPECT_EQ(source_digests().at(path), sha256(contents(path))) << path;
  }
}

TEST(Provenance, commit_is_a_sha_or_unknown) {
  EXPECT_TRUE(std::regex_match(built_commit(), std::regex("unknown|[0-9a-f]{40}(-dirty)?")))
      << built_commit();
}

TEST(Provenance, one_file_is_the_digest_of_its_line) {
  const std::string path = "harness/record/sha256.hpp";
  EXPECT_EQ(sources_sha256({path}), sha256(path + ' ' + source_digests().at(path) + '\n'));
}

TEST(Provenance, order_and_repetition_do_not_count) {
  const std::string a = "harness/record/sha256.hpp", b = "harness/record/sha256.cpp";
  EXPECT_EQ(sources_sha256({a, b}), sources_sha256({b, a, b}));
  EXPECT_NE(sources_sha256({a}), sources_sha256({b}));
}

TEST(Provenance, a_folder_stands_for_all_files_below_it_and_for_no_neighbour) {
  std::vector<std::string> below;
  for (const auto& [path, digest] : source_digests()) {
    if (path.starts_with("harness/record/")) {
      below.push_back(path);
    }
  }
  ASSERT_GE(below.size(), 4u);
  EXPECT_EQ(sources_sha256({"harness/record"}), sources_sha256(below));
  EXPECT_EQ(sources_sha256({"harness/record/"}), sources_sha256(below));
  EXPECT_THROW(sources_sha256({"harness/rec"}), std::invalid_argument);
}

TEST(Provenance, unknown_path_is_refused_by_name) {
  try {
    sources_sha256({"kernels/nf4/no_such_file.cu"});
    FAIL() << "expected std::invalid_argument";
  } catch (const std::invalid_argument& error) {
    EXPECT_NE(std::string(error.what()).find("kernels/nf4/no_such_file.cu"), std::string::npos);
  }
}

}  // namespace
}  // namespace assay::harness
