// SPDX-License-Identifier: Apache-2.0
// JSON lines to records and checks. The fields of DESIGN section 7 must be there; the additional ones may be
// absent.
#include <charconv>
#include <fstream>
#include <sstream>

#include "harness/record/field.hpp"
#include "harness/record/measurements.hpp"
#include "harness/record/record.hpp"

namespace assay::harness {
namespace {

using record_detail::Field;
using record_detail::integer_or;
using record_detail::Json;
using record_detail::Place;
using record_detail::text_or_empty;

int small_integer(const Field& field) {
  const std::int64_t value = field.integer(0);
  if (value > std::numeric_limits<int>::max()) {
    field.reject("a whole number of 31 bits");
  }
  return static_cast<int>(value);
}

int small_integer_or(const Field& parent, std::string_view name, int fallback) {
  const auto member = parent.find(name);
  return member ? small_integer(*member) : fallback;
}

/// 90 of "sm_90", also of "sm_90a"; 0 where no number follows.
int sm_of(std::string_view arch) {
  unsigned short sm = 0;
  if (arch.starts_with("sm_")) {
    std::from_chars(arch.data() + 3, arch.data() + arch.size(), sm);
  }
  return sm;
}

/// Records of other writers may lack `kind` and `sm`: "sm_90" says both.
DeviceInfo device_of(const Field& field) {
  DeviceInfo device;
  device.name = field.at("name").text();
  device.arch = field.at("arch").text();
  device.count = small_integer(field.at("count"));
  device.driver = field.at("driver").text();
  device.cuda_runtime = field.at("cuda").text();
  device.torch = field.at("torch").text();
  const auto kind = field.find("kind");
  const std::size_t position = kind ? kind->choice({"cpu", "cuda"}) : device.arch.starts_with("sm_");
  device.kind = position == 1 ? DeviceKind::kCuda : DeviceKind::kCpu;
  device.sm = small_integer_or(field, "sm", sm_of(device.arch));
  device.multiprocessors = small_integer_or(field, "multiprocessors", 0);
  device.memory_bytes = static_cast<std::size_t>(integer_or(field, "memory_bytes", 0));
  device.l2_bytes = static_cast<std::size_t>(integer_or(field, "l2_bytes", 0));
  device.cores = small_integer_or(field, "cores", 1);
  return device;
}

Provenance provenance_of(const Field& field) {
  return {.commit = field.at("commit").text(),
          .sources_sha256 = field.at("sources_sha256").text(),
          .utc = field.at("utc").text(),
          .command = field.at("command").text(),
          .seed = field.at("seed").unsigned_integer()};
}

Passed passed_of(const Field& line) {
  Passed passed;
  passed.parity = record_detail::parity_of(line.at("parity"));
  passed.timings = record_detail::timings_of(line);
  if (const auto memory = line.find("memory")) {
    passed.memory = record_detail::memory_of(*memory);
  }
  if (const auto work = line.find("work")) {
    passed.work = record_detail::work_of(*work);
  }
  return passed;
}

Wrong wrong_of(const Field& line, const std::string& reason) {
  Wrong wrong{.check = text_or_empty(line, "check"), .reason = reason, .parity = std::nullopt};
  if (const auto parity = line.find("parity")) {
    wrong.parity = record_detail::parity_of(*parity);
  }
  return wrong;
}

Outcome outcome_of(const Field& line) {
  const std::size_t outcome =
      line.at("outcome").choice({"passed", "wrong", "skipped", "failed", "timed_out", "out_of_memory"});
  const std::string reason = line.at("reason").text();
  if (outcome == 0) {
    return passed_of(line);
  }
  if (outcome == 2 && reason.empty()) {
    line.at("reason").reject("why it was skipped");
  }
  for (const char* name : {"time", "times", "memory", "work", "verdict"}) {
    if (const auto measurement = line.find(name)) {
      measurement->reject("no such field unless the outcome is passed");
    }
  }
  switch (outcome) {
    case 1:
      return wrong_of(line, reason);
    case 2:
      return Skipped{reason};
    case 3:
      return Failed{reason};
    case 4:
      return TimedOut{reason};
    default:
      return OutOfMemoryOutcome{reason};
  }
}

Record record_of(const Field& line) {
  Record record;
  record.suite = line.at("suite").nonempty_text();
  record.challenge = line.at("challenge").nonempty_text();
  record.case_name = line.at("case").nonempty_text();
  record.implementation = line.at("implementation").nonempty_text();
  record.role =
      static_cast<Role>(line.at("role").choice({"oracle", "baseline", "candidate", "peer", "mutant"}));
  record.device = device_of(line.at("device"));
  record.target_arch = line.at("target").at("arch").text();
  record.target_mode = line.at("target").at("mode").text();
  record.outcome = outcome_of(line);
  record.provenance = provenance_of(line.at("provenance"));
  record.version = text_or_empty(line, "version");
  record.input_source = text_or_empty(line, "input");
  return record;
}

constexpr std::size_t kSkippedCheck = 2;

Check check_of(const Field& line) {
  Check check;
  check.suite = line.at("suite").nonempty_text();
  check.challenge = line.at("challenge").text();
  check.check = line.at("check").nonempty_text();
  const std::size_t outcome = line.at("outcome").choice({"passed", "wrong", "skipped", "failed"});
  check.outcome = line.at("outcome").text();
  check.reason = text_or_empty(line, "reason");
  if (outcome == kSkippedCheck && check.reason.empty()) {
    line.reject("a \"reason\" beside the outcome skipped");
  }
  check.evidence_json = line.at("evidence").object().json().dump();
  if (const auto device = line.find("device")) {
    check.device = device_of(*device);
  }
  if (const auto provenance = line.find("provenance")) {
    check.provenance = provenance_of(*provenance);
  }
  return check;
}

void parse_into(RecordFile& file, std::string_view text, const Place& place) {
  const Json json = record_detail::parse_line(text, place);
  const Field line(json, place);
  if (line.at("schema").choice({"assay.record/1", "assay.check/1"}) == 0) {
    file.records.push_back(record_of(line));
  } else {
    file.checks.push_back(check_of(line));
  }
}

}  // namespace

RecordFile parse_records(std::string_view text, const std::string& origin) {
  RecordFile file;
  Place place{.file = origin, .line = 0};
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    ++place.line;
    parse_into(file, text.substr(begin, end - begin), place);
    begin = end + 1;
  }
  if (place.line == 0) {
    throw UsageError(origin +
                     ": expected at least one record, found an empty file; run `assay run --out FILE` again");
  }
  return file;
}

RecordFile read_records(const std::filesystem::path& file) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(file, error)) {
    throw UsageError(file.string() + ": expected a file of records, found " +
                     (std::filesystem::exists(file, error) ? "something else" : "nothing") +
                     "; `assay run --out FILE` writes one");
  }
  std::ifstream stream(file, std::ios::binary);
  std::ostringstream text;
  text << stream.rdbuf();
  if (!stream && std::filesystem::file_size(file, error) > 0) {
    throw UsageError(file.string() + ": expected a file that can be read, found an error while reading it");
  }
  return parse_records(text.view(), file.string());
}

}  // namespace assay::harness
