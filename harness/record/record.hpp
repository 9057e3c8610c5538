// SPDX-License-Identifier: Apache-2.0
// One line of evidence. JSON Lines, schema `assay.record/1` and `assay.check/1` (field names fixed by
// docs/records.md).
#pragma once

#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "harness/core/challenge.hpp"
#include "harness/core/outcome.hpp"
#include "harness/device/device.hpp"

namespace assay::harness {

struct Provenance {
  std::string commit;          ///< "<sha>" or "<sha>-dirty", as built in
  std::string sources_sha256;  ///< over the implementation's source files
  std::string utc;             ///< ISO 8601, seconds
  std::string command;
  std::uint64_t seed = 0;
};

struct Record {
  std::string suite, challenge, case_name, implementation;
  Role role = Role::kCandidate;
  Outcome outcome;
  DeviceInfo device;
  std::string target_arch, target_mode;  ///< "sm_90", "sass" | "ptx_jit" | "cpu"
  Provenance provenance;
  std::string version;       ///< peers and outside baselines
  std::string input_source;  ///< "random" or the file
};

/// A statement that is not about one implementation's speed: noise, ceilings, static facts, selftest,
/// counters.
struct Check {
  std::string suite, challenge, check;
  std::string outcome;  ///< "passed" | "wrong" | "skipped" | "failed"
  std::string reason;
  std::string evidence_json = "{}";
  DeviceInfo device;
  Provenance provenance;
};

std::string_view mode_name(TimeMode mode);       ///< "graph", "cold", "wall"
std::string_view verdict_name(Verdict verdict);  ///< "better", "worse", "not_resolved"

/// One line with its line feed. Lossless but for samples, which are whole nanoseconds, and text that is not
/// UTF-8. Throws std::invalid_argument for a time that is not finite and above 0 (samples: at least half a
/// nanosecond), or for evidence that is not a JSON object.
std::string to_json_line(const Record& record);
std::string to_json_line(const Check& check);

struct RecordFile {
  std::vector<Record> records;
  std::vector<Check> checks;
};
/// Strict: no line at all, unknown schema, missing field, wrong type, non-finite number, a time outside a
/// pass or a truncated line throws UsageError with file, line, field, what was expected and found. Unknown
/// extra fields are ignored.
RecordFile parse_records(std::string_view text, const std::string& origin);
RecordFile read_records(const std::filesystem::path& file);

/// Appends whole lines; the file appears under its final name only when `commit` is called (or on Ctrl-C with
/// the finished lines, through `commit` in the handler's unwinding). Destroyed uncommitted: no file is left,
/// and an earlier file of that name is untouched. Missing folders are made. UsageError when the place cannot
/// be written.
class RecordWriter {
 public:
  explicit RecordWriter(std::filesystem::path file);
  ~RecordWriter();
  void write(const Record& record);
  void write(const Check& check);
  void commit();
  RecordWriter(const RecordWriter&) = delete;
  RecordWriter& operator=(const RecordWriter&) = delete;

 private:
  void append(const std::string& line);

  std::filesystem::path file_, temporary_;
  std::ofstream stream_;
  bool committed_ = false;
};

}  // namespace assay::harness
