// SPDX-License-Identifier: Apache-2.0
// Records that tests of the record and report rooms start from: complete, valid, every field away from its
// default.
#pragma once

#include <string>

#include "harness/record/record.hpp"

namespace assay::harness::testing {

inline DeviceInfo hopper() {
  DeviceInfo device;
  device.kind = DeviceKind::kCuda;
  device.name = "NVIDIA H100 80GB HBM3";
  device.arch = "sm_90";
  device.sm = 90;
  device.multiprocessors = 132;
  device.memory_bytes = 85'000'000'000;
  device.l2_bytes = 52'428'800;
  device.cores = 16;
  device.driver = "580.159.04";
  device.cuda_runtime = "13.0";
  device.torch = "2.11.0";
  return device;
}

inline DeviceInfo small_cpu() {
  DeviceInfo device;
  device.kind = DeviceKind::kCpu;
  device.name = "Example CPU";
  device.arch = "x86_64/avx3";
  device.cores = 2;
  return device;
}

inline Timing timing(TimeMode mode, Interval speedup, double candidate_ns, double baseline_ns) {
  Timing result;
  result.mode = mode;
  result.baseline = "plain";
  result.candidate_ns = candidate_ns;
  result.baseline_ns = baseline_ns;
  result.speedup = speedup;
  result.verdict = speedup.ci_low > 1    ? Verdict::kBetter
                   : speedup.ci_high < 1 ? Verdict::kWorse
                                         : Verdict::kNotResolved;
  result.candidate_samples_ns = {candidate_ns, candidate_ns + 1};
  result.baseline_samples_ns = {baseline_ns, baseline_ns + 2};
  return result;
}

/// How a baseline itself is timed: against nothing.
inline Timing baseline_timing(double nanoseconds) {
  Timing result;
  result.candidate_ns = nanoseconds;
  return result;
}

/// A candidate that passed, timed in two modes, with memory and work.
inline Record passed_record(const std::string& implementation = "fused",
                            const std::string& case_name = "64x64/bf16/seed1") {
  Record record;
  record.suite = "example";
  record.challenge = "example/copy";
  record.case_name = case_name;
  record.implementation = implementation;
  record.role = Role::kCandidate;
  record.device = hopper();
  record.target_arch = "sm_90";
  record.target_mode = "sass";
  record.version = "1.2";
  record.input_source = "random";
  record.provenance = {.commit = "0123abcd",
                       .sources_sha256 = "aa11",
                       .utc = "2026-11-22T10:00:00Z",
                       .command = "assay run example",
                       .seed = 18446744073709551615ULL};
  Passed passed;
  passed.parity.elements = 4096;
  passed.parity.max_ulp = 1;
  passed.parity.ulp_histogram = {4000, 96};
  passed.parity.rel_err = 1.1e-3;
  passed.parity.baseline_rel_err = 1.2e-3;
  passed.parity.limit = 1.3e-3;
  passed.parity.max_abs_err = 0.1;
  passed.parity.worst_tile_ratio = 0.9;
  passed.timings = {timing(TimeMode::kGraph, {1.5, 1.45, 1.55, 0.95, 64}, 1000, 1500),
                    timing(TimeMode::kWall, {1.2, 1.15, 1.25, 0.95, 32}, 5000, 6000)};
  passed.memory = Memory{1024, 4096, 1024, 2048, 512, 256};
  passed.work = WorkDone{12288, 100, "copy_gbps", 3000, 2900.5, 0.967};
  record.outcome = passed;
  return record;
}

inline Passed& passed(Record& record) {
  return std::get<Passed>(record.outcome);
}

inline Record record_with(Outcome outcome) {
  Record record = passed_record();
  record.outcome = std::move(outcome);
  return record;
}

inline Check check_with(const std::string& name, const std::string& evidence,
                        const std::string& outcome = "passed") {
  Check check;
  check.suite = "example";
  check.challenge = "example/copy";
  check.check = name;
  check.outcome = outcome;
  check.reason = outcome == "passed" ? "" : "a reason";
  check.evidence_json = evidence;
  check.device = hopper();
  check.provenance = passed_record().provenance;
  return check;
}

}  // namespace assay::harness::testing
