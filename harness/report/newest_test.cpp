// SPDX-License-Identifier: Apache-2.0
// Of several records of one subject the newest counts, and what it did not measure is not forgotten.
#include "harness/report/newest.hpp"

#include <gtest/gtest.h>

#include "harness/record/testing.hpp"

namespace assay::harness::report {
namespace {

using testing::check_with;
using testing::passed;
using testing::passed_record;
using testing::record_with;

Record at(Record record, const std::string& utc) {
  record.provenance.utc = utc;
  return record;
}

TEST(Newest, the_newest_record_wins_whatever_the_order_of_files) {
  const Record old = at(record_with(Failed{"old"}), "2026-11-01T00:00:00Z");
  const Record recent = at(record_with(Failed{"recent"}), "2026-11-02T00:00:00Z");
  for (const auto& records : {std::vector{old, recent}, std::vector{recent, old}}) {
    const RecordFile merged = newest({records, {}});
    ASSERT_EQ(merged.records.size(), 1u);
    EXPECT_EQ(outcome_reason(merged.records[0].outcome), "recent");
  }
}

TEST(Newest, other_devices_cases_implementations_and_targets_stay_apart) {
  Record other_device = passed_record(), other_target = passed_record();
  other_device.device = testing::small_cpu();
  other_target.target_mode = "ptx_jit";
  const RecordFile merged = newest({{passed_record(), passed_record("other"),
                                     passed_record("fused", "1x1/bf16"), other_device, other_target},
                                    {}});
  EXPECT_EQ(merged.records.size(), 5u);
}

TEST(Newest, verifying_again_does_not_erase_times) {
  Record verified = at(passed_record(), "2026-12-01T00:00:00Z");
  passed(verified).timings.clear();
  passed(verified).memory.reset();
  passed(verified).work.reset();
  const RecordFile merged = newest({{passed_record(), verified}, {}});
  const auto& result = std::get<Passed>(merged.records.at(0).outcome);
  EXPECT_EQ(result.timings.size(), 2u);
  EXPECT_TRUE(result.memory && result.work);
  EXPECT_EQ(merged.records[0].provenance.utc, verified.provenance.utc);
}

TEST(Newest, times_of_other_sources_are_not_taken_over) {
  Record verified = at(passed_record(), "2026-12-01T00:00:00Z");
  verified.provenance.sources_sha256 = "changed";
  passed(verified).timings.clear();
  const RecordFile merged = newest({{passed_record(), verified}, {}});
  EXPECT_TRUE(std::get<Passed>(merged.records.at(0).outcome).timings.empty());
}

TEST(Newest, a_newer_mode_replaces_only_that_mode) {
  Record again = at(passed_record(), "2026-12-01T00:00:00Z");
  passed(again).timings = {testing::timing(TimeMode::kWall, {2, 1.9, 2.1, 0.95, 32}, 3000, 6000)};
  const RecordFile merged = newest({{passed_record(), again}, {}});
  const auto& timings = std::get<Passed>(merged.records.at(0).outcome).timings;
  ASSERT_EQ(timings.size(), 2u);
  EXPECT_EQ(timings[0].mode, TimeMode::kGraph);
  EXPECT_EQ(timings[0].speedup->median, 1.5);
  EXPECT_EQ(timings[1].speedup->median, 2);
}

TEST(Newest, a_newer_failure_is_not_hidden_by_an_older_pass) {
  const RecordFile merged =
      newest({{passed_record(), at(record_with(Wrong{"parity", "bad", {}}), "2026-12-01T00:00:00Z")}, {}});
  EXPECT_EQ(outcome_name(merged.records.at(0).outcome), "wrong");
}

TEST(Newest, the_newest_check_wins) {
  Check old = check_with("noise", R"({"trials":1})"), recent = check_with("noise", R"({"trials":2})");
  recent.provenance.utc = "2026-12-01T00:00:00Z";
  const RecordFile merged = newest({{}, {recent, old}});
  ASSERT_EQ(merged.checks.size(), 1u);
  EXPECT_EQ(merged.checks[0].evidence_json, recent.evidence_json);
}

TEST(Stale, only_known_and_different_sources_are_stale) {
  const Record record = passed_record();
  EXPECT_FALSE(is_stale(record, {}));
  EXPECT_FALSE(is_stale(record, {{{"example/copy", "fused"}, "aa11"}}));
  EXPECT_TRUE(is_stale(record, {{{"example/copy", "fused"}, "bb22"}}));
}

}  // namespace
}  // namespace assay::harness::report
