// SPDX-License-Identifier: Apache-2.0
// Fuzz target: any bytes are either refused as a record file with a UsageError, or read into records that can
// be written, and what is written reads back as the same line.
// fuzz-corpus: records
// fuzz-sources: harness/record/field.cpp
// fuzz-sources: harness/record/measurements_parse.cpp
// fuzz-sources: harness/record/measurements_write.cpp
// fuzz-sources: harness/record/record_parse.cpp
// fuzz-sources: harness/record/record_write.cpp
// fuzz-sources: harness/core/challenge.cpp
// fuzz-sources: harness/core/outcome.cpp
#include <cstdio>
#include <cstdlib>

#include "harness/record/record.hpp"

namespace {

using namespace assay::harness;

std::string written(const RecordFile& file) {
  std::string text;
  for (const Record& record : file.records) {
    text += to_json_line(record);
  }
  for (const Check& check : file.checks) {
    text += to_json_line(check);
  }
  return text;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  RecordFile file;
  try {
    file = parse_records({reinterpret_cast<const char*>(data), size}, "fuzz");
  } catch (const UsageError&) {
    return 0;
  }
  const std::string once = written(file);
  const std::string twice = written(parse_records(once, "written"));
  if (once != twice) {
    std::fprintf(stderr, "expected the same lines twice, found\n%s%s", once.c_str(), twice.c_str());
    std::abort();
  }
  return 0;
}
