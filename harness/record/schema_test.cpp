// SPDX-License-Identifier: Apache-2.0
// The published JSON Schema and the C++ parser accept and refuse the same lines.
#pragma GCC diagnostic ignored \
    "-Wrestrict"  // GCC 12 on std::string::replace in valijson: gcc.gnu.org/PR105651

#include <gtest/gtest.h>

#include <fstream>
#include <functional>
#include <limits>
#include <nlohmann/json.hpp>
#include <valijson/adapters/nlohmann_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validator.hpp>

#include "harness/record/provenance.hpp"
#include "harness/record/record.hpp"
#include "harness/record/testing.hpp"

namespace assay::harness {
namespace {

using nlohmann::json;

class Schema : public ::testing::Test {
 protected:
  void SetUp() override {
    const std::filesystem::path file =
        std::filesystem::path(built_from()) / "docs" / "assay.record.schema.json";
    if (!std::filesystem::exists(file)) {
      GTEST_SKIP() << "the checkout this was built from is not on this machine";
    }
    const json text = json::parse(std::ifstream(file));
    valijson::SchemaParser parser(valijson::SchemaParser::kDraft7);
    parser.populateSchema(valijson::adapters::NlohmannJsonAdapter(text), schema_);
  }

  bool schema_accepts(const json& line) {
    valijson::Validator validator;
    return validator.validate(schema_, valijson::adapters::NlohmannJsonAdapter(line), nullptr);
  }

  void expect_both(bool accepted, const json& line, const std::string& what) {
    EXPECT_EQ(schema_accepts(line), accepted) << what;
    bool parsed = true;
    try {
      parse_records(line.dump(), "line");
    } catch (const UsageError& error) {
      parsed = false;
      EXPECT_FALSE(accepted) << what << ": " << error.what();
    }
    EXPECT_EQ(parsed, accepted) << what;
  }

  valijson::Schema schema_;
};

/// With a seed below 2^63: valijson 1.0 reads larger ones as negative.
template <class Line>
json line_of(const Line& record) {
  json line = json::parse(to_json_line(record));
  line["provenance"]["seed"] = 3408;
  return line;
}

TEST_F(Schema, accepts_what_is_written) {
  expect_both(true, line_of(testing::passed_record()), "passed");
  Record verified = testing::passed_record();
  testing::passed(verified).timings.clear();
  testing::passed(verified).memory.reset();
  testing::passed(verified).parity.limit.reset();
  expect_both(true, line_of(verified), "verified only");
  Record baseline = testing::passed_record("plain");
  testing::passed(baseline).timings = {testing::baseline_timing(1500.5)};
  expect_both(true, line_of(baseline), "baseline");
  Parity bad;
  bad.rel_err = std::numeric_limits<double>::quiet_NaN();
  expect_both(true, line_of(testing::record_with(Wrong{"parity", "3 differ", bad})), "wrong");
  for (const Outcome& outcome : {Outcome(Skipped{"no GPU"}), Outcome(Failed{""}), Outcome(TimedOut{"60 s"}),
                                 Outcome(OutOfMemoryOutcome{"80 GiB"})}) {
    expect_both(true, line_of(testing::record_with(outcome)), outcome_name(outcome));
  }
  expect_both(true, line_of(testing::check_with("noise", R"({"trials":40})")), "check");
  expect_both(true, line_of(testing::check_with("noise", "{}", "skipped")), "skipped check");
}

TEST_F(Schema, refuses_what_the_parser_refuses) {
  const json good = line_of(testing::passed_record());
  const std::vector<std::pair<std::string, std::function<void(json&)>>> faults = {
      {"time outside a pass", [](json& line) { line["outcome"] = "failed"; }},
      {"unknown schema", [](json& line) { line["schema"] = "assay.record/2"; }},
      {"zero time", [](json& line) { line["times"][1]["candidate_ns"] = 0; }},
      {"zero sample", [](json& line) { line["times"][0]["candidate_samples_ns"][0] = 0; }},
      {"fractional count", [](json& line) { line["parity"]["mismatches"] = 0.5; }},
      {"null error without reason", [](json& line) { line["parity"]["rel_err"] = nullptr; }},
      {"null worst tile without reason", [](json& line) { line["parity"]["worst_tile_ratio"] = nullptr; }},
      {"unknown reason",
       [](json& line) { line["parity"]["limit_reason"] = "big", line["parity"]["limit"] = nullptr; }},
      {"no parity in a pass", [](json& line) { line.erase("parity"); }},
      {"no provenance", [](json& line) { line.erase("provenance"); }},
      {"speedup over nothing", [](json& line) { line["times"][1]["baseline"] = ""; }},
      {"times without headline", [](json& line) { line.erase("time"); }},
      {"no samples but text", [](json& line) { line["times"][0]["candidate_samples_ns"] = "many"; }},
      {"verdict without speedup", [](json& line) { line["times"][1]["speedup"] = nullptr; }},
      {"skip without reason", [](json& line) {
         line = line_of(testing::record_with(Skipped{"x"}));
         line["reason"] = "";
       }}};
  for (const auto& [what, break_it] : faults) {
    json line = good;
    break_it(line);
    expect_both(false, line, what);
  }
}

TEST_F(Schema, refuses_checks_without_evidence) {
  json line = line_of(testing::check_with("noise", "{}"));
  line.erase("evidence");
  expect_both(false, line, "no evidence");
}

}  // namespace
}  // namespace assay::harness
