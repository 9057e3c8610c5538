// SPDX-License-Identifier: Apache-2.0
// Units, and results that cannot be true.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <stdexcept>

#include "harness/measure/measure.hpp"

namespace assay::harness {
namespace {

using ::testing::HasSubstr;

Ceilings h100() {
  Ceilings ceilings;
  ceilings.copy_gbps = 3000.0;
  ceilings.fill_gbps = 3200.0;
  ceilings.matmul_bf16_tflops = 800.0;
  return ceilings;
}

Work work_of(std::int64_t bytes, std::int64_t flops, const std::string& ceiling) {
  Work work;
  work.bytes = bytes;
  work.flops = flops;
  work.ceiling = ceiling;
  return work;
}

TEST(WorkDone, bytes_per_nanosecond_are_gigabytes_per_second) {
  const WorkDone done =
      work_done(work_of(150'000'000, 0, "copy_gbps"), 62'500.0, h100());  // 150 MB in 62.5 µs
  EXPECT_DOUBLE_EQ(done.achieved, 2400.0);
  EXPECT_DOUBLE_EQ(done.ceiling_value, 3000.0);
  EXPECT_DOUBLE_EQ(done.fraction, 0.8);
  EXPECT_EQ(done.bytes, 150'000'000);
}

TEST(WorkDone, flops_count_in_teraflops) {
  const WorkDone done =
      work_done(work_of(1, 2'000'000'000'000, "matmul_bf16_tflops"), 5e6, h100());  // 2 T in 5 ms
  EXPECT_DOUBLE_EQ(done.achieved, 400.0);
  EXPECT_DOUBLE_EQ(done.fraction, 0.5);
}

TEST(WorkDone, unknown_or_unmeasured_ceilings_and_no_time_are_refused) {
  EXPECT_THROW(work_done(work_of(1, 1, "warp_speed"), 1.0, h100()), std::invalid_argument);
  EXPECT_THROW(work_done(work_of(1, 1, "matmul_f16_tflops"), 1.0, h100()), std::invalid_argument);
  EXPECT_THROW(work_done(work_of(1, 1, "copy_gbps"), 1.0, Ceilings{}), std::invalid_argument);
  EXPECT_THROW(work_done(work_of(1, 1, "copy_gbps"), 0.0, h100()), std::invalid_argument);
  EXPECT_THROW(work_done(work_of(1, 1, "copy_gbps"), std::numeric_limits<double>::quiet_NaN(), h100()),
               std::invalid_argument);
}

TEST(CeilingValue, is_unset_where_the_device_lacks_the_unit) {
  EXPECT_EQ(ceiling_value("matmul_bf16_tflops", h100()), 800.0);
  EXPECT_EQ(ceiling_value("matmul_f16_tflops", h100()), std::nullopt);
}

WorkDone at(double gbps) {
  return work_done(work_of(1'000'000, 0, "copy_gbps"), 1e6 / gbps, h100());
}

TEST(Implausible, allows_3_percent_above_the_ceiling_and_no_more) {
  EXPECT_EQ(implausible(at(2900)), std::nullopt);
  EXPECT_EQ(implausible(at(3080)), std::nullopt);
  ASSERT_TRUE(implausible(at(3100)).has_value());
  EXPECT_THAT(*implausible(at(3100)), HasSubstr("found 3100.0"));
  EXPECT_THAT(*implausible(at(3100)), HasSubstr("103 %"));
}

TEST(Implausible, a_kernel_that_mostly_writes_is_held_against_the_fill_rate_too) {
  EXPECT_EQ(implausible(at(3200), h100()), std::nullopt);
  EXPECT_TRUE(implausible(at(3400), h100()).has_value());
}

TEST(Implausible, flops_are_not_held_against_bytes) {
  const WorkDone done =
      work_done(work_of(1, 2'000'000'000'000, "matmul_bf16_tflops"), 1e6, h100());  // 2000 TFLOP/s
  EXPECT_TRUE(implausible(done, h100()).has_value());
}

TEST(Implausible, nan_is_implausible) {
  WorkDone done = at(2900);
  done.achieved = std::numeric_limits<double>::quiet_NaN();
  EXPECT_TRUE(implausible(done).has_value());
  EXPECT_TRUE(implausible(done, h100()).has_value());
}

TEST(Ceilings, the_highest_of_two_measurements_counts) {
  Ceilings slow, fast;
  slow.copy_gbps = 10, slow.fill_gbps = 7, slow.launch_us = 3;
  fast.copy_gbps = 12, fast.fill_gbps = 6, fast.launch_us = 9, fast.matmul_f16_tflops = 5;
  for (const Ceilings& both : {highest(slow, fast), highest(fast, slow)}) {
    EXPECT_EQ(both.copy_gbps, 12);
    EXPECT_EQ(both.fill_gbps, 7);
    EXPECT_EQ(both.matmul_f16_tflops, 5);
    EXPECT_FALSE(both.matmul_bf16_tflops.has_value());
  }
  EXPECT_EQ(highest(slow, fast).launch_us, 3);
}

}  // namespace
}  // namespace assay::harness
