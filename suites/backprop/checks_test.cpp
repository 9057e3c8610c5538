// SPDX-License-Identifier: Apache-2.0
// The suite's checks hold, and their evidence has the fields that the rubric reads. (llama_training has a
// test of its own.)
#include "suites/backprop/checks.hpp"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "harness/device/device.hpp"

namespace assay::suites::backprop {
namespace {

using harness::DeviceKind;
using nlohmann::json;

json evidence_of(const std::string& name, DeviceKind device) {
  at::set_num_threads(1);
  for (const auto& check : checks_of(LossKind::kCrossEntropy)) {
    if (check.name == name)
      return json::parse(check.run({.kind = device, .sm = 0, .memory_bytes = 0, .cores = 1}));
  }
  throw std::logic_error("no check " + name);
}

void expect_checks_hold(DeviceKind device) {
  const json upcast = evidence_of("f32_upcast", device);
  EXPECT_EQ(upcast.at("upcast_in_every_chunk"), true);
  EXPECT_GE(upcast.at("chunks"), 6);
  EXPECT_EQ(upcast.at("hidden"), json({"f16", "bf16"}));
  const json autograd = evidence_of("gradients_from_autograd", device);
  EXPECT_EQ(autograd.at("through_autograd"), true);
  EXPECT_EQ(autograd.at("backward_calls"), 3);
  const json chunks = evidence_of("dynamic_chunk_sizes", device);
  for (const char* field : {"by_rows", "by_bytes", "by_free_memory"}) EXPECT_EQ(chunks.at(field), true);
  EXPECT_GE(chunks.at("different_sizes"), 7) << chunks;
}

TEST(BackpropChecks, hold_on_the_cpu) {
  expect_checks_hold(DeviceKind::kCpu);
}

TEST(GpuBackpropChecks, hold_on_the_gpu) {
  if (!harness::cuda_available())
    GTEST_SKIP() << harness::cuda_unavailable_reason();
  expect_checks_hold(DeviceKind::kCuda);
}

}  // namespace
}  // namespace assay::suites::backprop
