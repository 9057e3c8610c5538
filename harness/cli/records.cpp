// SPDX-License-Identifier: Apache-2.0
// `report`, `compare`, `gate`: commands over record files alone.
#include <fmt/format.h>

#include "harness/cli/board.hpp"
#include "harness/cli/commands.hpp"

namespace assay::harness::cli {

int report(const std::vector<std::string>& files, const std::string& folder) {
  RecordFile all;
  for (const std::string& file : files) {
    RecordFile one = read_records(file);
    all.records.insert(all.records.end(), one.records.begin(), one.records.end());
    all.checks.insert(all.checks.end(), one.checks.begin(), one.checks.end());
  }
  write_board(all, folder);
  fmt::print("{}/scoreboard.md, {}/scoreboard.html: {} records, {} checks\n", folder, folder,
             all.records.size(), all.checks.size());
  return 0;
}

int compare(const std::string& old_file, const std::string& new_file) {
  fmt::print("{}", compare_table(compare_records(read_records(old_file), read_records(new_file))));
  return 0;
}

int gate(const std::string& baseline, const std::string& current, const GateOptions& options) {
  const GateResult result = harness::gate(read_records(baseline), read_records(current), options);
  if (result.passed) {
    fmt::print("gate: passed\n");
    return 0;
  }
  fmt::print("{}gate: failed, {} rows\n", compare_table(result.offending), result.offending.size());
  return 1;
}

}  // namespace assay::harness::cli
