// SPDX-License-Identifier: Apache-2.0
// What is written can be read back unchanged; what is not a record is refused with the place and the reason.
#include "harness/record/record.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "harness/record/testing.hpp"

namespace assay::harness {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::ordered_json;
using testing::check_with;
using testing::passed;
using testing::passed_record;
using testing::record_with;

Record round_trip(const Record& record) {
  const RecordFile file = parse_records(to_json_line(record), "memory");
  EXPECT_EQ(file.records.size(), 1u);
  return file.records.at(0);
}

std::string complaint(const std::string& text) {
  try {
    parse_records(text, "file.jsonl");
  } catch (const UsageError& error) {
    return error.what();
  }
  return "no complaint";
}

/// The example record with one change.
std::string changed(const std::function<void(Json&)>& change) {
  Json line = Json::parse(to_json_line(passed_record()));
  change(line);
  return line.dump() + "\n";
}

TEST(Record, round_trip_loses_nothing) {
  const Record before = passed_record();
  const Record after = round_trip(before);
  EXPECT_EQ(to_json_line(after), to_json_line(before));
  EXPECT_EQ(after.suite, before.suite);
  EXPECT_EQ(after.case_name, before.case_name);
  EXPECT_EQ(after.provenance.seed, std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(after.device.memory_bytes, before.device.memory_bytes);
  EXPECT_EQ(after.device.kind, DeviceKind::kCuda);
  EXPECT_EQ(after.target_mode, "sass");
  EXPECT_EQ(after.input_source, "random");
  const auto& measured = std::get<Passed>(after.outcome);
  ASSERT_EQ(measured.timings.size(), 2u);
  EXPECT_EQ(measured.timings[1].mode, TimeMode::kWall);
  EXPECT_EQ(measured.timings[1].speedup->ci_low, 1.15);
  EXPECT_EQ(measured.timings[0].baseline_samples_ns, (std::vector<double>{1500, 1502}));
  EXPECT_EQ(measured.parity.ulp_histogram, (std::vector<std::int64_t>{4000, 96}));
  EXPECT_EQ(measured.memory->baseline_peak_bytes, 4096);
  EXPECT_EQ(measured.work->achieved, 2900.5);
}

TEST(Record, every_double_survives_to_the_last_bit) {
  for (const double value : {1.0 / 3, 5e-324, 1.7976931348623157e308, -0.0, 9007199254740993.0, 0.1}) {
    Record record = passed_record();
    passed(record).parity.first_bad_value = value;
    const double after = std::get<Passed>(round_trip(record).outcome).parity.first_bad_value;
    EXPECT_EQ(after, value);
    EXPECT_EQ(std::signbit(after), std::signbit(value));
  }
}

TEST(Record, errors_that_are_not_finite_are_null_with_a_reason) {
  Record record = record_with(Wrong{.check = "parity", .reason = "1 of 4096 differ", .parity = Parity{}});
  auto& parity = *std::get<Wrong>(record.outcome).parity;
  parity.rel_err = std::numeric_limits<double>::quiet_NaN();
  parity.max_abs_err = std::numeric_limits<double>::infinity();
  parity.first_bad_expected = -std::numeric_limits<double>::infinity();
  const Json line = Json::parse(to_json_line(record));
  EXPECT_TRUE(line["parity"]["rel_err"].is_null());
  EXPECT_EQ(line["parity"]["rel_err_reason"], "nan");
  EXPECT_EQ(line["parity"]["max_abs_err_reason"], "inf");
  const Record read = round_trip(record);
  const auto& after = std::get<Wrong>(read.outcome);
  EXPECT_EQ(after.check, "parity");
  EXPECT_TRUE(std::isnan(after.parity->rel_err));
  EXPECT_EQ(after.parity->max_abs_err, parity.max_abs_err);
  EXPECT_EQ(after.parity->first_bad_expected, parity.first_bad_expected);
}

TEST(Record, unset_and_not_finite_limits_stay_apart) {
  Record record = passed_record();
  passed(record).parity.limit = std::nullopt;
  passed(record).parity.baseline_rel_err = std::numeric_limits<double>::quiet_NaN();
  const Record read = round_trip(record);
  EXPECT_FALSE(std::get<Passed>(read.outcome).parity.limit.has_value());
  EXPECT_TRUE(std::isnan(*std::get<Passed>(read.outcome).parity.baseline_rel_err));
}

TEST(Record, every_outcome_survives) {
  for (const Outcome& outcome :
       {Outcome(Wrong{"canary", "guard bytes changed", std::nullopt}), Outcome(Skipped{"no GPU"}),
        Outcome(Failed{"launch failed"}), Outcome(TimedOut{"60 s"}),
        Outcome(OutOfMemoryOutcome{"80 GiB asked"}), Outcome(Passed{})}) {
    const Record read = round_trip(record_with(outcome));
    EXPECT_EQ(outcome_name(read.outcome), outcome_name(outcome));
    EXPECT_EQ(outcome_reason(read.outcome), outcome_reason(outcome));
  }
}

TEST(Record, a_baseline_is_timed_against_nothing) {
  Record record = passed_record();
  passed(record).timings = {testing::baseline_timing(75320.25)};
  const Json line = Json::parse(to_json_line(record));
  EXPECT_TRUE(line["time"]["baseline_ns"].is_null());
  EXPECT_TRUE(line["time"]["speedup"].is_null());
  EXPECT_TRUE(line["verdict"].is_null());
  const Record read = round_trip(record);
  EXPECT_EQ(std::get<Passed>(read.outcome).timings[0].candidate_ns, 75320.25);
  EXPECT_FALSE(std::get<Passed>(read.outcome).timings[0].speedup.has_value());
}

TEST(Record, headline_and_times_use_the_fixed_field_names) {
  const Json line = Json::parse(to_json_line(passed_record()));
  EXPECT_EQ(line["schema"], "assay.record/1");
  EXPECT_EQ(line["case"], "64x64/bf16/seed1");
  EXPECT_EQ(line["time"]["candidate_ns"], 1000);
  EXPECT_EQ(line["time"]["speedup"]["ci_low"], 1.45);
  EXPECT_FALSE(line["time"].contains("candidate_samples_ns"));
  EXPECT_EQ(line["times"][0]["candidate_samples_ns"], Json::parse("[1000,1001]"));
  EXPECT_EQ(line["verdict"], "better");
  EXPECT_EQ(line["memory"]["graph_pool"], 512);
}

TEST(Record, the_smallest_line_of_the_design_is_read) {
  const RecordFile file = parse_records(
      R"({"schema":"assay.record/1","suite":"nf4","challenge":"nf4/dequantize","case":"4096x14336/bf16/seed3408",)"
      R"("implementation":"cuda_fused","role":"candidate","outcome":"passed","reason":"",)"
      R"("device":{"name":"NVIDIA H100 80GB HBM3","arch":"sm_90","count":1,"driver":"580.159.04","cuda":"13.0","torch":"2.11.0"},)"
      R"("target":{"arch":"sm_90","mode":"sass"},)"
      R"("parity":{"oracle":"f64","mismatches":0,"max_ulp":0,"rel_err":1.1e-3,"baseline_rel_err":1.1e-3,"limit":1.1e-3},)"
      R"("time":{"mode":"graph","baseline":"unsloth_sequence","candidate_ns":52160,"baseline_ns":75320,)"
      R"("speedup":{"median":1.44,"ci_low":1.43,"ci_high":1.45,"confidence":0.95,"pairs":64}},)"
      R"("memory":{"peak_bytes":0,"baseline_peak_bytes":0,"tensors":0,"reserved":0,"graph_pool":0,"outside_torch":0},)"
      R"("work":{"bytes":147734528,"flops":0,"ceiling":"copy_gbps","ceiling_value":3002.2,"achieved":2832.3,"fraction":0.943},)"
      R"("provenance":{"commit":"…","sources_sha256":"…","utc":"…","command":"assay run …","seed":3408}})"
      "\n"
      R"({"schema":"assay.check/1","suite":"nf4","challenge":"nf4/dequantize","check":"single_kernel_launch",)"
      R"("outcome":"passed","evidence":{"graph_kernel_nodes":1}})",
      "design");
  ASSERT_EQ(file.records.size(), 1u);
  EXPECT_EQ(file.records[0].device.sm, 90);
  EXPECT_EQ(file.records[0].device.kind, DeviceKind::kCuda);
  EXPECT_EQ(std::get<Passed>(file.records[0].outcome).timings.at(0).speedup->median, 1.44);
  ASSERT_EQ(file.checks.size(), 1u);
  EXPECT_EQ(file.checks[0].evidence_json, R"({"graph_kernel_nodes":1})");
}

TEST(Check, round_trip_loses_nothing) {
  const Check before = check_with("noise", R"({"trials":40,"fraction_resolved":0.025})");
  const RecordFile file = parse_records(to_json_line(before), "memory");
  ASSERT_EQ(file.checks.size(), 1u);
  EXPECT_EQ(to_json_line(file.checks[0]), to_json_line(before));
  EXPECT_EQ(file.checks[0].evidence_json, before.evidence_json);
  EXPECT_EQ(file.checks[0].device.name, before.device.name);
}

TEST(Writing, zero_is_never_a_time) {
  Record record = passed_record();
  passed(record).timings[0].candidate_ns = 0;
  EXPECT_THROW(to_json_line(record), std::invalid_argument);
  record = passed_record();
  passed(record).timings[0].candidate_samples_ns[0] = 0.2;
  EXPECT_THROW(to_json_line(record), std::invalid_argument);
}

TEST(Writing, times_that_are_not_finite_are_refused) {
  Record record = passed_record();
  passed(record).timings[1].baseline_ns = std::numeric_limits<double>::infinity();
  EXPECT_THROW(to_json_line(record), std::invalid_argument);
  record = passed_record();
  passed(record).work->fraction = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THROW(to_json_line(record), std::invalid_argument);
}

TEST(Writing, an_interval_that_misses_its_median_is_refused) {
  Record record = passed_record();
  passed(record).timings[0].speedup->ci_low = 1.51;
  EXPECT_THROW(to_json_line(record), std::invalid_argument);
}

TEST(Writing, a_skip_without_reason_is_refused) {
  EXPECT_THROW(to_json_line(record_with(Skipped{""})), std::invalid_argument);
}

TEST(Writing, evidence_must_be_an_object) {
  EXPECT_THROW(to_json_line(check_with("noise", "[1]")), std::invalid_argument);
  EXPECT_THROW(to_json_line(check_with("noise", "{")), std::invalid_argument);
}

TEST(Writing, text_that_is_not_utf8_becomes_readable) {
  const Record record = record_with(Failed{"bad byte \xff in a message"});
  EXPECT_THAT(outcome_reason(round_trip(record).outcome), HasSubstr("bad byte \xEF\xBF\xBD in"));
}

TEST(Parsing, a_time_outside_a_pass_is_refused) {
  for (const char* outcome : {"wrong", "skipped", "failed", "timed_out", "out_of_memory"}) {
    const std::string text = changed([&](Json& line) {
      line["outcome"] = outcome;
      line["reason"] = "why";
    });
    EXPECT_THAT(complaint(text),
                HasSubstr("file.jsonl:1: time: expected no such field unless the outcome is passed"));
  }
}

TEST(Parsing, memory_outside_a_pass_is_refused) {
  const std::string text = changed([](Json& line) {
    line["outcome"] = "failed";
    for (const char* name : {"time", "times", "work", "verdict"}) {
      line.erase(name);
    }
  });
  EXPECT_THAT(complaint(text), HasSubstr("memory: expected no such field"));
}

TEST(Parsing, complaints_name_line_field_expected_and_found) {
  const std::string good = to_json_line(passed_record());
  const std::string bad = changed([](Json& line) { line["time"]["speedup"]["ci_low"] = "fast"; });
  EXPECT_THAT(complaint(good + bad),
              HasSubstr("file.jsonl:2: time.speedup.ci_low: expected a finite number, found \"fast\""));
}

TEST(Parsing, every_missing_field_is_named) {
  const Json line = Json::parse(to_json_line(passed_record()));
  for (const char* name : {"suite", "challenge", "case", "implementation", "role", "outcome", "reason",
                           "device", "target", "parity", "provenance", "schema"}) {
    const std::string text = changed([&](Json& edited) { edited.erase(name); });
    EXPECT_THAT(complaint(text), HasSubstr("a field \"" + std::string(name) + "\", found none")) << name;
  }
  EXPECT_THAT(complaint(changed([](Json& edited) { edited["memory"].erase("reserved"); })),
              HasSubstr("memory: expected a field \"reserved\""));
}

TEST(Parsing, wrong_types_are_refused) {
  EXPECT_THAT(complaint(changed([](Json& line) { line["parity"]["mismatches"] = 0.5; })),
              HasSubstr("parity.mismatches: expected a whole number of 64 bits, found 0.5"));
  EXPECT_THAT(complaint(changed([](Json& line) { line["parity"]["mismatches"] = -1; })),
              HasSubstr("at least 0"));
  EXPECT_THAT(complaint(changed([](Json& line) { line["provenance"]["seed"] = -1; })),
              HasSubstr("provenance.seed"));
  EXPECT_THAT(complaint(changed([](Json& line) { line["device"] = "H100"; })),
              HasSubstr("device: expected an object"));
  EXPECT_THAT(complaint(changed([](Json& line) { line["role"] = "winner"; })),
              HasSubstr("role: expected one of"));
  EXPECT_THAT(complaint(changed([](Json& line) { line["memory"]["peak_bytes"] = 18446744073709551615ULL; })),
              HasSubstr("memory.peak_bytes: expected a whole number of 64 bits"));
  EXPECT_THAT(complaint(changed([](Json& line) { line["times"][1]["candidate_samples_ns"][1] = 0; })),
              HasSubstr("times[1].candidate_samples_ns[1]: expected a whole number of at least 1, found 0"));
}

TEST(Parsing, a_null_error_without_reason_is_refused) {
  EXPECT_THAT(complaint(changed([](Json& line) { line["parity"]["rel_err"] = nullptr; })),
              HasSubstr("expected a field \"rel_err_reason\""));
}

TEST(Parsing, tokens_for_numbers_that_are_not_finite_are_refused) {
  std::string text = to_json_line(passed_record());
  text.replace(text.find("0.0011"), 6, "NaN");
  EXPECT_THAT(complaint(text), HasSubstr("bad JSON"));
  text = to_json_line(passed_record());
  text.replace(text.find("0.0011"), 6, "1e999");
  EXPECT_THAT(complaint(text), HasSubstr("bad JSON"));
}

TEST(Parsing, a_headline_that_is_not_the_first_time_is_refused) {
  EXPECT_THAT(complaint(changed([](Json& line) { line["time"]["candidate_ns"] = 999; })),
              HasSubstr("times: expected the headline \"time\" as the first"));
  EXPECT_THAT(complaint(changed([](Json& line) { line["verdict"] = "worse"; })),
              HasSubstr("verdict: expected the verdict of \"time\", found \"worse\""));
  EXPECT_THAT(complaint(changed([](Json& line) { line.erase("time"); })),
              HasSubstr("times: expected the headline"));
}

TEST(Parsing, an_unknown_schema_is_refused) {
  EXPECT_THAT(
      complaint(changed([](Json& line) { line["schema"] = "assay.record/2"; })),
      HasSubstr("schema: expected one of \"assay.record/1\", \"assay.check/1\", found \"assay.record/2\""));
}

TEST(Parsing, every_truncation_of_a_line_is_refused) {
  const std::string line = to_json_line(passed_record());
  for (std::size_t length = 1; length + 1 < line.size(); ++length) {
    ASSERT_NE(complaint(line.substr(0, length)), "no complaint") << length;
  }
}

TEST(Parsing, a_field_given_twice_is_refused) {
  std::string text = to_json_line(passed_record());
  text.replace(0, 1, R"({"outcome":"passed",)");
  EXPECT_THAT(complaint(text), HasSubstr("expected each field once, found \"outcome\" twice"));
}

TEST(Parsing, deep_nesting_is_refused_before_it_hurts) {
  const std::string deep = std::string(100000, '[') + std::string(100000, ']');
  EXPECT_THAT(complaint(R"({"schema":"assay.check/1","evidence":)" + deep + "}"),
              HasSubstr("levels of nesting"));
}

TEST(Parsing, nothing_is_not_a_record_file) {
  EXPECT_THAT(complaint(""), HasSubstr("expected at least one record, found an empty file"));
  EXPECT_THAT(complaint(to_json_line(passed_record()) + "\n"),
              HasSubstr("file.jsonl:2: expected one complete JSON object"));
  EXPECT_THAT(complaint("[]\n"), HasSubstr("expected a JSON object, found []"));
}

TEST(Parsing, fields_it_does_not_know_are_left_alone) {
  const std::string text = changed([](Json& line) { line["rate"]["tokens_per_s"] = 17500; });
  EXPECT_EQ(complaint(text), "no complaint");
}

TEST(Reading, a_missing_file_or_a_folder_is_named) {
  EXPECT_THROW(read_records("/nonexistent/records.jsonl"), UsageError);
  EXPECT_THROW(read_records(std::filesystem::temp_directory_path()), UsageError);
}

}  // namespace
}  // namespace assay::harness
