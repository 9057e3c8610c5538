// SPDX-License-Identifier: Apache-2.0
// Every input of a fuzz target's corpus through its entry point, without libFuzzer: what once crashed stays
// fixed. Built once for each target.
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

namespace fs = std::filesystem;

std::vector<fs::path> corpus() {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(ASSAY_FUZZ_CORPUS)) {
    files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

std::string test_name(const fs::path& file) {
  std::string name = file.filename();
  std::replace_if(
      name.begin(), name.end(), [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
  return name;
}

class FuzzReplay : public ::testing::TestWithParam<fs::path> {};

TEST_P(FuzzReplay, is_read_or_refused) {
  std::ifstream file(GetParam(), std::ios::binary);
  const std::string content((std::istreambuf_iterator<char>(file)), {});
  ASSERT_TRUE(file.good() || file.eof()) << GetParam();
  // A heap block of exactly this size: reading past the end is something a sanitizer sees.
  const std::vector<std::uint8_t> input(content.begin(), content.end());
  EXPECT_EQ(LLVMFuzzerTestOneInput(input.data(), input.size()), 0);
}

INSTANTIATE_TEST_SUITE_P(ASSAY_FUZZ_TARGET, FuzzReplay, ::testing::ValuesIn(corpus()),
                         [](const auto& which) { return test_name(which.param); });

}  // namespace
