// SPDX-License-Identifier: Apache-2.0
// Facts about this machine, errors, clocks: what must hold on any machine, and on machines whose files are
// given here.
#include "harness/device/device.hpp"

#include <cuda_runtime_api.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "harness/core/outcome.hpp"
#include "harness/device/host_facts.hpp"

namespace assay::harness {
namespace {

using ::testing::HasSubstr;

TEST(HostFacts, the_widest_vector_set_is_named_as_highway_names_it) {
  const auto named = [](const std::string& flags) {
    return vector_set_from("model name\t: X\nflags\t\t: " + flags + "\n");
  };
  const std::string avx2 = "sse2 ssse3 sse4_1 sse4_2 avx avx2 fma";
  const std::string avx3 = avx2 + " avx512f avx512vl avx512dq avx512bw";
  const std::string avx3_dl =
      avx3 + " avx512_vnni vpclmulqdq avx512vbmi avx512_vbmi2 vaes avx512_vpopcntdq avx512_bitalg gfni";
  EXPECT_EQ(named("fpu"), "scalar");
  EXPECT_EQ(named("fpu sse2"), "sse2");
  EXPECT_EQ(named("sse2 ssse3 sse4_1 sse4_2"), "sse4");
  EXPECT_EQ(named(avx2), "avx2");
  EXPECT_EQ(named(avx2 + " avx512f"), "avx2");
  EXPECT_EQ(named(avx3), "avx3");
  EXPECT_EQ(named(avx3_dl), "avx3_dl");
  EXPECT_EQ(named(avx3_dl + " avx512_fp16"), "avx3_spr");
  EXPECT_EQ(vector_set_from("Features\t: fp asimd sve"), "sve");
  EXPECT_EQ(vector_set_from(""), "scalar");
}

TEST(HostFacts, the_first_model_name_is_the_name) {
  EXPECT_EQ(cpu_name_from("processor\t: 0\nmodel name\t: Fast CPU @ 3 GHz: boxed\nmodel name\t: Other\n"),
            "Fast CPU @ 3 GHz: boxed");
  EXPECT_EQ(cpu_name_from("processor\t: 0\n"), "unknown CPU");
}

TEST(HostFacts, sizes_are_read_with_their_unit) {
  EXPECT_EQ(size_from("512"), 512u);
  EXPECT_EQ(size_from("36608K"), 36608u * 1024);
  EXPECT_EQ(size_from("8M"), 8u << 20);
  EXPECT_EQ(size_from("max"), 0u);
  EXPECT_EQ(size_from(""), 0u);
  EXPECT_EQ(size_from("3 apples"), 0u);
}

TEST(Describe, the_cpu_of_this_machine_is_known) {
  const DeviceInfo info = describe(DeviceKind::kCpu);
  EXPECT_FALSE(info.name.empty());
  EXPECT_THAT(info.arch, HasSubstr("/"));
  EXPECT_GE(info.cores, 1);
  EXPECT_LE(info.cores, static_cast<int>(std::thread::hardware_concurrency()));
  EXPECT_GT(info.memory_bytes, std::size_t{1} << 28);
  EXPECT_LE(available_host_bytes(), info.memory_bytes);
  EXPECT_EQ(info.sm, 0);
  EXPECT_EQ(info.facts().cores, info.cores);
  EXPECT_EQ(info.facts().memory_bytes, info.memory_bytes);
}

TEST(Describe, the_version_of_torch_is_what_was_set) {
  set_torch_version("9.9.9");
  EXPECT_EQ(describe(DeviceKind::kCpu).torch, "9.9.9");
  set_torch_version("");
  EXPECT_EQ(describe(DeviceKind::kCpu).torch, "");
}

TEST(CudaAvailable, a_reason_is_given_exactly_when_it_is_not) {
  EXPECT_EQ(cuda_available(), cuda_unavailable_reason().empty());
  if (!cuda_available()) {
    EXPECT_THAT(cuda_unavailable_reason(), HasSubstr("--device cpu"));
    EXPECT_THROW(describe(DeviceKind::kCuda), std::runtime_error);
    EXPECT_FALSE(read_clocks().has_value());
  }
}

TEST(CheckCuda, errors_carry_place_call_and_cudas_own_words) {
  try {
    check_cuda(cudaErrorInvalidValue, "cudaMemcpy(a, b)", "file.cpp", 12);
    FAIL() << "accepted";
  } catch (const std::runtime_error& error) {
    for (const char* part :
         {"file.cpp:12", "cudaMemcpy(a, b)", "cudaErrorInvalidValue", "invalid argument"}) {
      EXPECT_THAT(error.what(), HasSubstr(part));
    }
  }
  EXPECT_THROW(check_cuda(cudaErrorMemoryAllocation, "c", "f", 1), OutOfMemory);
  EXPECT_NO_THROW(check_cuda(cudaSuccess, "c", "f", 1));
}

TEST(Throttle, idle_and_application_clocks_do_not_count_and_unknown_bits_do) {
  EXPECT_EQ(suspicious_throttle(0), "");
  EXPECT_EQ(suspicious_throttle(0x1 | 0x2 | 0x100), "");
  EXPECT_EQ(suspicious_throttle(0x4), "power cap");
  EXPECT_EQ(suspicious_throttle(0x1 | 0x8 | 0x40), "hardware slowdown, hardware thermal slowdown");
  EXPECT_EQ(suspicious_throttle(0x4 | 0x10000), "power cap, reason bits 0x10000");
}

TEST(Throttle, the_clock_state_reads_as_one_line) {
  ClockState state;
  state.sm_mhz = 1980;
  state.temperature_c = 45;
  EXPECT_EQ(state.describe(), "1980 MHz, 45 °C, no throttling");
  state.throttle_reasons = 0x20;
  EXPECT_EQ(state.describe(), "1980 MHz, 45 °C, software thermal slowdown");
}

TEST(DeviceBuffer, is_aligned_and_moves_without_freeing_twice) {
  DeviceBuffer buffer(1000, DeviceKind::kCpu);
  std::byte* const data = buffer.data();
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(data) % 256, 0u);
  const DeviceBuffer moved(std::move(buffer));
  EXPECT_EQ(moved.data(), data);
  EXPECT_EQ(moved.bytes(), 1000u);
  EXPECT_EQ(buffer.data(), nullptr);
  EXPECT_NE(DeviceBuffer(0, DeviceKind::kCpu).data(), nullptr);
}

TEST(OwnedStream, is_null_on_the_cpu) {
  const OwnedStream stream(DeviceKind::kCpu);
  EXPECT_EQ(static_cast<Stream>(stream), nullptr);
  EXPECT_NO_THROW(stream.synchronize());
}

TEST(CacheFlusher, runs_on_the_cpu_again_and_again) {
  CacheFlusher flusher(DeviceKind::kCpu);
  flusher.flush(nullptr);
  EXPECT_NO_THROW(flusher.flush(nullptr));
}

class GpuDevice : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!cuda_available()) {
      GTEST_SKIP() << cuda_unavailable_reason();
    }
  }
};

TEST_F(GpuDevice, is_described_with_all_facts) {
  const DeviceInfo info = describe(DeviceKind::kCuda);
  EXPECT_FALSE(info.name.empty());
  EXPECT_EQ(info.arch, "sm_" + std::to_string(info.sm));
  EXPECT_GE(info.sm, 75);
  EXPECT_GT(info.multiprocessors, 0);
  EXPECT_GT(info.l2_bytes, 0u);
  EXPECT_GT(info.memory_bytes, std::size_t{1} << 30);
  EXPECT_FALSE(info.driver.empty());
  EXPECT_EQ(info.cuda_runtime.substr(0, 3), "13.");
  EXPECT_GE(info.count, 1);
}

TEST_F(GpuDevice, clocks_are_plausible_where_nvml_is_present) {
  const std::optional<ClockState> clocks = read_clocks();
  if (!clocks) {
    GTEST_SKIP() << "no NVML on this machine";
  }
  EXPECT_GT(clocks->sm_mhz, 100u);
  EXPECT_LT(clocks->sm_mhz, 4000u);
  EXPECT_GT(clocks->temperature_c, 0u);
  EXPECT_LT(clocks->temperature_c, 120u);
}

TEST_F(GpuDevice, a_failed_allocation_leaves_no_error_behind) {
  EXPECT_THROW(DeviceBuffer(2 * describe(DeviceKind::kCuda).memory_bytes, DeviceKind::kCuda), OutOfMemory);
  EXPECT_EQ(cudaGetLastError(), cudaSuccess);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(DeviceBuffer(100, DeviceKind::kCuda).data()) % 256, 0u);
}

}  // namespace
}  // namespace assay::harness
