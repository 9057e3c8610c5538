// SPDX-License-Identifier: Apache-2.0
// Measured ceilings of a GPU and the kernels that probe it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>
#include <string>
#include <vector>

#include "harness/measure/gpu_fixture.hpp"
#include "harness/measure/probe_kernels.hpp"

namespace assay::harness {
namespace {

using ::testing::Each;

class GpuCeilings : public GpuTest {};
class GpuProbe : public GpuTest {};

TEST_F(GpuCeilings, are_all_measured_and_agree_with_each_other) {
  const Ceilings ceilings = measure_ceilings(device_);
  RecordProperty("copy_gbps", std::to_string(ceilings.copy_gbps));
  RecordProperty("fill_gbps", std::to_string(ceilings.fill_gbps));
  RecordProperty("event_overhead_us", std::to_string(ceilings.event_overhead_us));
  RecordProperty("launch_us", std::to_string(ceilings.launch_us));
  EXPECT_GT(ceilings.copy_gbps, 100.0);
  EXPECT_GT(ceilings.fill_gbps, 0.7 * ceilings.copy_gbps);
  EXPECT_LT(ceilings.fill_gbps, 1.6 * ceilings.copy_gbps);
  EXPECT_GE(ceilings.event_overhead_us, 0.0);
  EXPECT_LT(ceilings.event_overhead_us, 20.0);
  EXPECT_GT(ceilings.launch_us, 1.0);
  EXPECT_LT(ceilings.launch_us, 200.0);
  EXPECT_EQ(ceilings.matmul_f16_tflops.has_value(), device_.sm >= 70);
  EXPECT_EQ(ceilings.matmul_bf16_tflops.has_value(), device_.sm >= 80);
  if (ceilings.matmul_bf16_tflops) {
    RecordProperty("matmul_bf16_tflops", std::to_string(*ceilings.matmul_bf16_tflops));
    EXPECT_NEAR(*ceilings.matmul_bf16_tflops / *ceilings.matmul_f16_tflops, 1.0, 0.25);
  }
}

TEST_F(GpuCeilings, of_an_h100_are_those_of_an_h100) {
  if (device_.name.find("H100 80GB HBM3") == std::string::npos) {
    GTEST_SKIP() << "this is a " << device_.name;
  }
  const Ceilings ceilings = measure_ceilings(device_);
  EXPECT_GT(ceilings.copy_gbps, 2700.0);  // 3002 measured on one, 2026-11
  EXPECT_LT(ceilings.copy_gbps, 3350.0);  // data sheet
  EXPECT_GT(*ceilings.matmul_bf16_tflops, 550.0);
  EXPECT_LT(*ceilings.matmul_bf16_tflops, 990.0);  // data sheet, dense
}

std::vector<std::uint32_t> words_of(const DeviceBuffer& buffer) {
  std::vector<std::uint32_t> words(buffer.bytes() / sizeof(std::uint32_t));
  copy_bytes(words.data(), DeviceKind::kCpu, buffer.data(), DeviceKind::kCuda, buffer.bytes());
  return words;
}

TEST_F(GpuProbe, vector_copy_moves_every_byte_and_no_more) {
  for (const std::size_t bytes : {std::size_t{16}, std::size_t{16384}, std::size_t{16384 * 3 + 16}}) {
    const DeviceBuffer from(bytes, DeviceKind::kCuda), to(bytes + 16, DeviceKind::kCuda);
    enqueue_random_fill(from.data(), RandomBits{}, bytes, nullptr);
    fill_bytes(to.data(), DeviceKind::kCuda, 0xAB, bytes + 16);
    enqueue_vector_copy(to.data(), from.data(), bytes, nullptr);
    synchronize_device(DeviceKind::kCuda);
    EXPECT_EQ(digest_bytes(to.data(), DeviceKind::kCuda, bytes),
              digest_bytes(from.data(), DeviceKind::kCuda, bytes));
    EXPECT_TRUE(all_bytes_are(to.data() + bytes, DeviceKind::kCuda, 0xAB, 16));
  }
}

TEST_F(GpuProbe, vector_fill_writes_the_word_everywhere) {
  constexpr std::uint32_t kWord = 0x5A5A1234;
  const DeviceBuffer to(std::size_t{65536 + 16}, DeviceKind::kCuda);
  enqueue_vector_fill(to.data(), kWord, to.bytes(), nullptr);
  synchronize_device(DeviceKind::kCuda);
  EXPECT_THAT(words_of(to), Each(kWord));
}

TEST_F(GpuProbe, random_fill_keeps_to_its_mask_and_varies) {
  const DeviceBuffer to(std::size_t{65536}, DeviceKind::kCuda);
  enqueue_random_fill(to.data(), kRandomBf16, to.bytes(), nullptr);
  synchronize_device(DeviceKind::kCuda);
  std::uint32_t ones = 0, zeros = 0;
  for (const std::uint32_t word : words_of(to)) {
    ASSERT_EQ(word & ~kRandomBf16.keep, kRandomBf16.set);
    ones |= word;
    zeros |= ~word;
  }
  EXPECT_EQ(ones & kRandomBf16.keep, kRandomBf16.keep);
  EXPECT_EQ(zeros & kRandomBf16.keep, kRandomBf16.keep);
}

TEST_F(GpuProbe, misaligned_pointers_and_sizes_are_refused) {
  const DeviceBuffer to(std::size_t{64}, DeviceKind::kCuda);
  EXPECT_THROW(enqueue_vector_fill(to.data() + 4, 0, 16, nullptr), std::invalid_argument);
  EXPECT_THROW(enqueue_vector_fill(to.data(), 0, 17, nullptr), std::invalid_argument);
  EXPECT_THROW(enqueue_vector_copy(to.data(), to.data() + 8, 16, nullptr), std::invalid_argument);
}

}  // namespace
}  // namespace assay::harness
