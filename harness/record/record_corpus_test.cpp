// SPDX-License-Identifier: Apache-2.0
// Every input that fuzzing kept (tests/fuzz/corpus/records) still holds the fuzz target's promise.
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "harness/record/provenance.hpp"
#include "harness/record/record.hpp"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size);
#include "tests/fuzz/record_fuzz.cpp"

namespace assay::harness {
namespace {

TEST(RecordCorpus, every_kept_input_is_refused_or_survives_writing) {
  const auto folder = std::filesystem::path(built_from()) / "tests" / "fuzz" / "corpus" / "records";
  if (!std::filesystem::exists(folder)) {
    GTEST_SKIP() << "the checkout this was built from is not on this machine";
  }
  int seen = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    std::ifstream stream(entry.path(), std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(stream), {}};
    EXPECT_NO_THROW(
        LLVMFuzzerTestOneInput(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size()))
        << entry.path();
    ++seen;
  }
  EXPECT_GT(seen, 0);
}

}  // namespace
}  // namespace assay::harness
