// SPDX-License-Identifier: Apache-2.0
// Libraries whose work is on a GPU: a right one, and one for each way of being wrong that only a GPU has.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "harness/device/device.hpp"
#include "tests/candidates/door.hpp"

namespace assay::tests {
namespace {

using harness::Failed;
using harness::Passed;
using harness::TimedOut;
using harness::Wrong;

class GpuCandidates : public testing::Test {
 protected:
  void SetUp() override {
    if (!harness::cuda_available())
      GTEST_SKIP() << harness::cuda_unavailable_reason();
  }

  static Judged verify_one(const std::string& library, const std::string& more = "") {
    return judge("verify nf4/dequantize/1x16385 --device cuda --candidate " + hostile(library) + " " + more);
  }
  static Judged run_one(const std::string& library) {
    const auto folder =
        std::filesystem::temp_directory_path() / ("assay_door_gpu_" + std::to_string(::getpid()));
    const Judged judged = judge("run nf4/dequantize/1024x4096/bf16 --device cuda --budget 0.2 --report " +
                                folder.string() + " --candidate " + hostile(library));
    std::filesystem::remove_all(folder);
    return judged;
  }
  static void expect_wrong(const Judged& judged, const std::string& check) {
    ASSERT_TRUE(std::holds_alternative<Wrong>(judged.row().outcome)) << judged.printed;
    EXPECT_EQ(std::get<Wrong>(judged.row().outcome).check, check) << judged.printed;
  }
};

TEST_F(GpuCandidates, a_right_library_passes_every_small_case) {
  const Judged judged =
      judge("verify nf4/dequantize --quick --device cuda --candidate " + hostile("cuda_right"));
  EXPECT_EQ(judged.exit_status, 0) << judged.printed;
}

TEST_F(GpuCandidates, a_right_library_is_timed_against_the_sequence) {
  const Judged judged = run_one("cuda_right");
  const auto* passed = std::get_if<Passed>(&judged.row().outcome);
  ASSERT_NE(passed, nullptr) << judged.printed;
  EXPECT_TRUE(passed->timings.front().speedup.has_value());
  EXPECT_EQ(judged.row().device.kind, harness::DeviceKind::kCuda);
}

TEST_F(GpuCandidates, work_on_another_stream_is_wrong) {
  const Judged judged = verify_one("cuda_other_stream");
  ASSERT_TRUE(std::holds_alternative<Wrong>(judged.row().outcome)) << judged.printed;
}
TEST_F(GpuCandidates, waiting_for_the_device_is_wrong) {
  expect_wrong(verify_one("cuda_waits"), "host_sync");
}
TEST_F(GpuCandidates, a_write_past_the_end_is_wrong) {
  expect_wrong(verify_one("cuda_writes_past_the_end"), "canary");
}
TEST_F(GpuCandidates, calls_that_do_nothing_once_they_are_timed_are_wrong) {
  expect_wrong(run_one("cuda_idles_when_timed"), "timed_output");
}

TEST_F(GpuCandidates, an_illegal_address_fails_and_the_next_row_is_judged) {
  const Judged judged =
      judge("verify 'nf4/dequantize/1x*' --device cuda --candidate " + hostile("cuda_illegal_address"));
  EXPECT_GE(judged.file.records.size(), 5u);
  for (const harness::Record& record : judged.file.records)
    EXPECT_EQ(outcome_name(record.outcome), "failed") << judged.printed;
}

TEST_F(GpuCandidates, a_kernel_that_never_ends_ends_at_the_time_limit) {
  const Judged judged = verify_one("cuda_never_ends", "--time-limit 5");
  EXPECT_EQ(outcome_name(judged.row().outcome), "timed_out") << judged.printed;
}

}  // namespace
}  // namespace assay::tests
