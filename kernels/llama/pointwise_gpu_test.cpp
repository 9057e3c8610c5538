// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "kernels/common/cuda_check.hpp"
#include "kernels/common/device_bytes_test.hpp"
#include "kernels/llama/pointwise_cases_test.hpp"

namespace assay::kernels::llama {
namespace {

using testing::DeviceBytes;

/// A device copy of the arena at a multiple of 256 bytes; the call may be captured and replayed instead.
cases::Machine gpu(bool captured = false) {
  const auto stream = std::make_shared<cudaStream_t>(nullptr);
  const auto on = [=](cases::Arena& arena, const std::function<void(std::byte*)>& body) {
    const DeviceBytes memory(arena.data(), arena.size());
    ASSERT_EQ(reinterpret_cast<std::uintptr_t>(memory.get()) % 256, 0u);
    if (!captured) {
      body(memory.get());
    } else {
      cudaGraph_t graph{};
      cudaGraphExec_t exec{};
      ASSAY_CUDA_CHECK(cudaStreamCreateWithFlags(stream.get(), cudaStreamNonBlocking));
      ASSAY_CUDA_CHECK(cudaStreamBeginCapture(*stream, cudaStreamCaptureModeGlobal));
      body(memory.get());
      ASSAY_CUDA_CHECK(cudaStreamEndCapture(*stream, &graph));
      std::size_t nodes = 0;
      ASSAY_CUDA_CHECK(cudaGraphGetNodes(graph, nullptr, &nodes));
      EXPECT_EQ(nodes, 6u) << "five calls, one of them with a second kernel for dw";
      ASSAY_CUDA_CHECK(cudaGraphInstantiate(&exec, graph, 0));
      for (int replay = 0; replay < 2; ++replay) ASSAY_CUDA_CHECK(cudaGraphLaunch(exec, *stream));
      ASSAY_CUDA_CHECK(cudaStreamSynchronize(*stream));
      cudaGraphExecDestroy(exec), cudaGraphDestroy(graph), cudaStreamDestroy(*stream);
    }
    ASSAY_CUDA_CHECK(cudaDeviceSynchronize());
    memory.copy_to(arena.data());
  };
  return {on,
          [=](const RmsNormForward& a) { rms_norm(a, *stream); },
          [=](const RmsNormBackward& a) { rms_norm_backward(a, *stream); },
          [=](const Rope& a) { rope(a, *stream); },
          [=](const SwigluForward& a) { swiglu(a, *stream); },
          [=](const SwigluBackward& a) { swiglu_backward(a, *stream); }};
}

class GpuPointwise : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!testing::has_gpu())
      GTEST_SKIP() << "no GPU";
  }
};

TEST_F(GpuPointwise, the_norm_is_the_formula_in_every_case) {
  for (const cases::NormCase& c : cases::norm_cases(true)) cases::expect_norm(c, gpu());
}
TEST_F(GpuPointwise, rope_is_the_formula_in_every_case) {
  for (const cases::RopeCase& c : cases::rope_cases(true)) cases::expect_rope(c, gpu());
  cases::expect_exact_angles(gpu());
}
TEST_F(GpuPointwise, swiglu_is_the_formula_in_every_case) {
  for (const cases::SwigluCase& c : cases::swiglu_cases(true)) cases::expect_swiglu(c, gpu());
}
TEST_F(GpuPointwise, infinities_and_nan_stay_where_they_are) {
  for (const ElementType type : cases::kTypes) cases::expect_extremes(type, gpu());
}
TEST_F(GpuPointwise, captured_calls_are_single_kernels_with_the_same_bits) {
  const auto direct = cases::outputs_of_everything(gpu());
  EXPECT_EQ(direct, cases::outputs_of_everything(gpu()));
  EXPECT_EQ(direct, cases::outputs_of_everything(gpu(true)));
}

/// Two rows 3 G elements apart: nothing between them is touched.
TEST_F(GpuPointwise, offsets_beyond_two_to_the_31_reach_the_right_row) {
  constexpr std::int64_t kStride = std::int64_t{3} << 30, kColumns = 1024, kBytes = kColumns * 4;
  std::size_t free = 0, all = 0;
  ASSAY_CUDA_CHECK(cudaMemGetInfo(&free, &all));
  const auto span = static_cast<std::size_t>(kStride + kColumns) * 4;
  if (free < span + (std::size_t{1} << 30))
    GTEST_SKIP() << "needs 14 GB of free device memory";
  std::vector<float> near(2 * kColumns);
  for (std::size_t i = 0; i < near.size(); ++i) near[i] = static_cast<float>(i % 97) / 24.0f - 2.0f;
  const DeviceBytes far(nullptr, span), packed(near), w(std::vector<float>(kColumns, 0.5f)), frequency(near);
  const auto strides = [&](std::int64_t stride) { return RopeTensor::Strides{0, stride, 64}; };
  const auto run = [&](const DeviceBytes& at, std::int64_t stride) {
    const auto type = ElementType::kFloat32;
    swiglu({type, 2, kColumns, {at.get(), stride}, {at.get(), stride}, {at.get(), stride}}, nullptr);
    rms_norm({.type = type,
              .rows = 2,
              .hidden = kColumns,
              .x = {at.get(), stride},
              .weight = w.get(),
              .y = {at.get(), stride}},
             nullptr);
    rope({.type = type,
          .length = 2,
          .head_dim = 64,
          .q = {at.get(), at.get(), kColumns / 64, strides(stride), strides(stride)},
          .inverse_frequency = frequency.as<float>()},
         nullptr);
  };
  for (const std::int64_t r : {0, 1})
    ASSAY_CUDA_CHECK(
        cudaMemcpy(far.get() + r * kStride * 4, near.data() + r * kColumns, kBytes, cudaMemcpyHostToDevice));
  run(far, kStride);
  run(packed, kColumns);
  std::vector<float> expected(near.size()), found(near.size());
  packed.copy_to(expected.data());
  for (const std::int64_t r : {0, 1})
    ASSAY_CUDA_CHECK(
        cudaMemcpy(found.data() + r * kColumns, far.get() + r * kStride * 4, kBytes, cudaMemcpyDeviceToHost));
  EXPECT_EQ(found, expected);
  EXPECT_NE(found, near);
}

}  // namespace
}  // namespace assay::kernels::llama
