// SPDX-License-Identifier: Apache-2.0
// Records and checks to JSON lines, in the field order of docs/records.md.
#include <stdexcept>

#include "harness/record/measurements.hpp"
#include "harness/record/record.hpp"

namespace assay::harness {
namespace {

using record_detail::Json;

Json device_json(const DeviceInfo& device) {
  Json result;
  result["name"] = device.name;
  result["arch"] = device.arch;
  result["count"] = device.count;
  result["driver"] = device.driver;
  result["cuda"] = device.cuda_runtime;
  result["torch"] = device.torch;
  result["kind"] = device.kind == DeviceKind::kCuda ? "cuda" : "cpu";
  result["sm"] = device.sm;
  result["multiprocessors"] = device.multiprocessors;
  result["memory_bytes"] = device.memory_bytes;
  result["l2_bytes"] = device.l2_bytes;
  result["cores"] = device.cores;
  return result;
}

Json provenance_json(const Provenance& provenance) {
  Json result;
  result["commit"] = provenance.commit;
  result["sources_sha256"] = provenance.sources_sha256;
  result["utc"] = provenance.utc;
  result["command"] = provenance.command;
  result["seed"] = provenance.seed;
  return result;
}

void put_measurements(Json& line, const Passed& passed) {
  line["parity"] = record_detail::parity_json(passed.parity);
  if (!passed.timings.empty()) {
    line["time"] = record_detail::time_json(passed.timings.front());
  }
  if (passed.memory) {
    line["memory"] = record_detail::memory_json(*passed.memory);
  }
  if (passed.work) {
    line["work"] = record_detail::work_json(*passed.work);
  }
}

void require_reason(const std::string& outcome, const std::string& reason, const std::string& what) {
  if (outcome == "skipped" && reason.empty()) {
    throw std::invalid_argument("expected a reason for skipping " + what + ", found none");
  }
}

void require_check_outcome(const Check& check) {
  for (const char* known : {"passed", "wrong", "skipped", "failed"}) {
    if (check.outcome == known) {
      return;
    }
  }
  throw std::invalid_argument("expected check " + check.check +
                              " to have passed, be wrong, skipped or failed, found the outcome \"" +
                              check.outcome + "\"");
}

std::string as_line(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace

std::string to_json_line(const Record& record) {
  require_reason(outcome_name(record.outcome), outcome_reason(record.outcome), record.implementation);
  const auto* passed = std::get_if<Passed>(&record.outcome);
  const auto* wrong = std::get_if<Wrong>(&record.outcome);
  Json line;
  line["schema"] = "assay.record/1";
  line["suite"] = record.suite;
  line["challenge"] = record.challenge;
  line["case"] = record.case_name;
  line["implementation"] = record.implementation;
  line["role"] = name_of(record.role);
  line["outcome"] = outcome_name(record.outcome);
  line["reason"] = wrong ? wrong->reason : outcome_reason(record.outcome);
  if (wrong) {
    line["check"] = wrong->check;
  }
  line["device"] = device_json(record.device);
  line["target"]["arch"] = record.target_arch;
  line["target"]["mode"] = record.target_mode;
  if (passed) {
    put_measurements(line, *passed);
  } else if (wrong && wrong->parity) {
    line["parity"] = record_detail::parity_json(*wrong->parity);
  }
  line["provenance"] = provenance_json(record.provenance);
  line["version"] = record.version;
  line["input"] = record.input_source;
  if (passed && !passed->timings.empty()) {
    const Timing& headline = passed->timings.front();
    line["verdict"] = headline.speedup ? Json(verdict_name(headline.verdict)) : Json();
    line["times"] = record_detail::times_json(passed->timings);
  }
  return as_line(line);
}

std::string to_json_line(const Check& check) {
  require_reason(check.outcome, check.reason, "check " + check.check);
  require_check_outcome(check);
  Json evidence = Json::parse(check.evidence_json, nullptr, /*allow_exceptions=*/false);
  if (!evidence.is_object()) {
    throw std::invalid_argument("expected the evidence of check " + check.check +
                                " to be a JSON object, found " + check.evidence_json);
  }
  Json line;
  line["schema"] = "assay.check/1";
  line["suite"] = check.suite;
  line["challenge"] = check.challenge;
  line["check"] = check.check;
  line["outcome"] = check.outcome;
  line["reason"] = check.reason;
  line["evidence"] = std::move(evidence);
  line["device"] = device_json(check.device);
  line["provenance"] = provenance_json(check.provenance);
  return as_line(line);
}

}  // namespace assay::harness
