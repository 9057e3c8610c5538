// SPDX-License-Identifier: Apache-2.0
// Memory of calls that take known sizes in known ways: each component must show its own share and nothing
// else.
#include "harness/memory/memory.hpp"

#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <vector>

#include "harness/device/device.hpp"
#include "harness/memory/graph_growth.hpp"

namespace assay::harness {
namespace {

constexpr std::int64_t kMiB = 1 << 20;
/// The driver hands out device memory in pieces of this size.
constexpr std::int64_t kGranule = 2 * kMiB;

void expect_between(std::int64_t found, std::int64_t least, std::int64_t most) {
  EXPECT_GE(found, least);
  EXPECT_LE(found, most);
}

/// Two temporaries after each other, then an output of 4 MiB beside a temporary of 6 MiB.
Invocation known_call(DeviceKind device) {
  return [device](Stream stream) {
    { const Scratch first(8 * kMiB, device, stream); }
    { const Scratch second(7 * kMiB, device, stream); }
    const Scratch output(4 * kMiB, device, stream);
    const Scratch temporary(6 * kMiB, device, stream);
  };
}

TEST(MeasureMemory, a_call_that_allocates_nothing_needs_nothing) {
  int calls = 0;
  const Memory memory = measure_memory([&](Stream) { ++calls; }, DeviceKind::kCpu);
  EXPECT_EQ(memory.peak_bytes, 0);
  EXPECT_EQ(memory.tensors, 0);
  EXPECT_EQ(calls, 2) << "one to warm up, one measured";
}

TEST(MeasureMemory, the_heap_peak_of_a_call_is_its_tensors) {
  const Memory memory = measure_memory(known_call(DeviceKind::kCpu), DeviceKind::kCpu);
  expect_between(memory.tensors, 10 * kMiB, 10 * kMiB + 4 * 4096);
  EXPECT_EQ(memory.peak_bytes, memory.tensors);
  EXPECT_EQ(memory.reserved, 0);
  EXPECT_EQ(memory.graph_pool, 0);
  EXPECT_EQ(memory.outside_torch, 0);
}

TEST(MeasureMemory, outputs_that_the_call_allocates_are_taken_off) {
  const Memory memory = measure_memory(known_call(DeviceKind::kCpu), DeviceKind::kCpu, 4 * kMiB);
  expect_between(memory.tensors, 6 * kMiB, 6 * kMiB + 4 * 4096);
  EXPECT_EQ(memory.peak_bytes, memory.tensors);
  EXPECT_EQ(measure_memory([](Stream) {}, DeviceKind::kCpu, 4 * kMiB).tensors, 0);
}

TEST(MeasureMemory, what_the_first_call_keeps_is_not_the_second_ones) {
  std::vector<char> cache;
  const Memory memory = measure_memory([&](Stream) { cache.resize(5 * kMiB); }, DeviceKind::kCpu);
  EXPECT_EQ(memory.tensors, 0);
}

TEST(MeasureMemory, a_call_that_throws_leaves_the_counter_usable) {
  const Invocation fails = [](Stream) { throw std::runtime_error("broken"); };
  EXPECT_THROW(measure_memory(fails, DeviceKind::kCpu), std::runtime_error);
  EXPECT_GE(measure_memory(known_call(DeviceKind::kCpu), DeviceKind::kCpu).tensors, 10 * kMiB);
}

TEST(Scratch, is_writable_aligned_and_null_when_empty) {
  const Scratch scratch(1000, DeviceKind::kCpu, nullptr);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(scratch.data()) % 64, 0u);
  fill_bytes(scratch.data(), DeviceKind::kCpu, 7, 1000);
  EXPECT_TRUE(all_bytes_are(scratch.data(), DeviceKind::kCpu, 7, 1000));
  EXPECT_EQ(Scratch(0, DeviceKind::kCpu, nullptr).data(), nullptr);
}

#ifndef __SANITIZE_ADDRESS__  // which ends the process instead
TEST(Scratch, more_than_the_heap_can_give_is_out_of_memory) {
  EXPECT_THROW(Scratch(std::size_t{1} << 62, DeviceKind::kCpu, nullptr), OutOfMemory);
}
#endif

#ifdef ASSAY_TORCH
TEST(MeasureMemory, a_build_with_torch_names_its_version) {
  EXPECT_FALSE(describe(DeviceKind::kCpu).torch.empty());
}
#endif

class GpuMemory : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!cuda_available()) {
      GTEST_SKIP() << cuda_unavailable_reason();
    }
  }
};

TEST_F(GpuMemory, a_call_that_allocates_nothing_needs_nothing_even_as_a_graph) {
  const Memory memory = measure_memory([](Stream stream) { enqueue_delay(stream, 5); }, DeviceKind::kCuda);
  EXPECT_EQ(memory.tensors, 0);
  EXPECT_EQ(memory.reserved, 0);
  EXPECT_EQ(memory.outside_torch, 0);
  EXPECT_EQ(memory.graph_pool, 0);
  EXPECT_EQ(memory.peak_bytes, 0);
}

TEST_F(GpuMemory, the_peak_is_of_what_lives_together_and_outputs_are_taken_off) {
  const Memory memory = measure_memory(known_call(DeviceKind::kCuda), DeviceKind::kCuda);
  EXPECT_EQ(memory.tensors, 10 * kMiB) << "multiples of 512 bytes are not rounded";
  expect_between(memory.reserved, memory.tensors, memory.tensors + 32 * kMiB);
  EXPECT_EQ(memory.outside_torch, 0);
  expect_between(memory.graph_pool, 0, 32 * kMiB);
  EXPECT_EQ(memory.peak_bytes, memory.tensors + memory.graph_pool);
  EXPECT_EQ(measure_memory(known_call(DeviceKind::kCuda), DeviceKind::kCuda, 4 * kMiB).tensors, 6 * kMiB);
}

TEST_F(GpuMemory, the_result_is_the_same_again_and_again) {
  const Memory first = measure_memory(known_call(DeviceKind::kCuda), DeviceKind::kCuda);
  for (int i = 0; i < 3; ++i) {
    const Memory again = measure_memory(known_call(DeviceKind::kCuda), DeviceKind::kCuda);
    EXPECT_EQ(again.tensors, first.tensors);
    EXPECT_EQ(again.reserved, first.reserved);
    EXPECT_EQ(again.graph_pool, first.graph_pool);
    EXPECT_EQ(again.outside_torch, first.outside_torch);
  }
}

TEST_F(GpuMemory, memory_taken_from_the_driver_is_outside_torch) {
  const Invocation call = [](Stream stream) {
    const DeviceBuffer hidden(64 * kMiB, DeviceKind::kCuda);
    enqueue_delay(stream, 3000);
    ASSAY_HARNESS_CUDA(cudaStreamSynchronize(stream));
  };
  const Memory memory = measure_memory(call, DeviceKind::kCuda);
  EXPECT_EQ(memory.tensors, 0);
  expect_between(memory.outside_torch, 64 * kMiB, 64 * kMiB + kGranule);
  EXPECT_EQ(memory.graph_pool, 0) << "a call that synchronises has no graph";
  EXPECT_EQ(memory.peak_bytes, memory.outside_torch);
}

TEST_F(GpuMemory, memory_that_the_call_keeps_is_outside_torch) {
  std::vector<DeviceBuffer> kept;
  const Memory memory =
      measure_memory([&](Stream) { kept.emplace_back(10 * kMiB, DeviceKind::kCuda); }, DeviceKind::kCuda);
  expect_between(memory.outside_torch, 10 * kMiB, 10 * kMiB + kGranule);
}

#ifdef ASSAY_TORCH
TEST_F(GpuMemory, the_drivers_own_pool_is_outside_torch_however_short_it_is_used) {
  const Invocation call = [](Stream stream) {
    void* data = nullptr;
    ASSAY_HARNESS_CUDA(cudaMallocAsync(&data, 48 * kMiB, stream));
    ASSAY_HARNESS_CUDA(cudaFreeAsync(data, stream));
  };
  const Memory memory = measure_memory(call, DeviceKind::kCuda);
  EXPECT_EQ(memory.tensors, 0);
  expect_between(memory.outside_torch, 48 * kMiB, 64 * kMiB);
  expect_between(memory.graph_pool, 0, 2 * kGranule);
}
#endif

Invocation many_kernels(int count) {
  return [count](Stream stream) {
    for (int i = 0; i < count; ++i) {
      enqueue_delay(stream, 0);
    }
  };
}

TEST_F(GpuMemory, a_large_graph_costs_device_memory_whatever_graphs_were_there_before) {
  const std::int64_t first = measure_memory(many_kernels(10000), DeviceKind::kCuda).graph_pool;
  const Memory again = measure_memory(many_kernels(10000), DeviceKind::kCuda);
  RecordProperty("first", std::to_string(first));
  RecordProperty("again", std::to_string(again.graph_pool));
  // A kernel node needs some hundred bytes at least: its parameters and its launch descriptor.
  EXPECT_GT(first, 10000 * 256);
  EXPECT_NEAR(again.graph_pool, first, 0.2 * first);
  EXPECT_EQ(again.peak_bytes, again.graph_pool);
  EXPECT_LT(measure_memory(many_kernels(1), DeviceKind::kCuda).graph_pool, 100000);
}

TEST_F(GpuMemory, a_graph_keeps_the_temporaries_of_its_call) {
  const OwnedStream stream(DeviceKind::kCuda);
  const std::optional<std::int64_t> growth = graph_growth_bytes(known_call(DeviceKind::kCuda), stream);
  ASSERT_TRUE(growth.has_value()) << "the capture failed";
  expect_between(*growth, 10 * kMiB, 64 * kMiB);
}

TEST_F(GpuMemory, a_call_that_synchronises_has_no_graph_and_one_that_throws_is_not_mistaken_for_it) {
  const OwnedStream stream(DeviceKind::kCuda);
  const Invocation synchronises = [](Stream s) { ASSAY_HARNESS_CUDA(cudaStreamSynchronize(s)); };
  EXPECT_EQ(graph_growth_bytes(synchronises, stream), std::nullopt);
  const Invocation throws = [](Stream) { throw std::runtime_error("broken"); };
  EXPECT_THROW(graph_growth_bytes(throws, stream), std::runtime_error);
  EXPECT_TRUE(graph_growth_bytes(many_kernels(1), stream).has_value()) << "the stream is usable again";
}

TEST_F(GpuMemory, out_of_memory_is_thrown_as_such_and_the_next_call_is_measured) {
  const std::size_t total = describe(DeviceKind::kCuda).memory_bytes;
  const Invocation call = [total](Stream stream) {
    const Scratch huge(2 * total, DeviceKind::kCuda, stream);
  };
  EXPECT_THROW(measure_memory(call, DeviceKind::kCuda), OutOfMemory);
  EXPECT_EQ(measure_memory(known_call(DeviceKind::kCuda), DeviceKind::kCuda).tensors, 10 * kMiB);
}

TEST_F(GpuMemory, scratch_is_ordered_on_its_stream) {
  const OwnedStream stream(DeviceKind::kCuda);
  const Scratch scratch(kMiB, DeviceKind::kCuda, stream);
  ASSAY_HARNESS_CUDA(cudaMemsetAsync(scratch.data(), 9, kMiB, stream));
  stream.synchronize();
  EXPECT_TRUE(all_bytes_are(scratch.data(), DeviceKind::kCuda, 9, kMiB));
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(scratch.data()) % 256, 0u);
}

}  // namespace
}  // namespace assay::harness
