// SPDX-License-Identifier: Apache-2.0
// Skinny products on the machine's GPU: the cases of the emulated machine, and large ones against each other.
#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "kernels/common/cuda_check.hpp"
#include "kernels/common/device_bytes_test.hpp"
#include "kernels/nf4/matmul/skinny_cases_test.hpp"
#include "kernels/nf4/matmul/skinny_check.hpp"

namespace assay::kernels::nf4 {
namespace {

using kernels::testing::DeviceBytes;
using testing::SkinnyCase;
using testing::SkinnySample;

/// A sample's arrays on the device.
struct OnDevice {
  explicit OnDevice(SkinnySample& s)
      : packed(s.packed),
        codes(s.absmax_codes),
        absmax(s.absmax),
        nested_absmax(s.nested_absmax),
        nested_code(s.nested_code),
        offset(s.nested_offset),
        x(s.x),
        bias(s.bias),
        y(s.y),
        args(s.args()),
        y_bytes(s.y.size()) {
    PackedWeights& w = args.weights;
    w.packed = packed.as<std::uint8_t>();
    if (s.c.nested) {
      w.absmax_codes = codes.as<std::uint8_t>();
      w.nested_absmax = nested_absmax.as<float>();
      w.nested_code = nested_code.as<float>();
      w.nested_offset = offset.as<float>();
    } else {
      w.absmax = absmax.as<float>();
    }
    args.x = x.get(), args.y = y.get();
    args.bias = s.c.bias ? bias.get() : nullptr;
  }
  std::vector<std::byte> result() const {
    ASSAY_CUDA_CHECK(cudaDeviceSynchronize());
    std::vector<std::byte> out(y_bytes);
    y.copy_to(out.data());
    return out;
  }

  DeviceBytes packed, codes, absmax, nested_absmax, nested_code, offset, x, bias, y;
  SkinnyArgs args;
  std::size_t y_bytes;
};

class GpuSkinnyLinear : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!kernels::testing::has_gpu())
      GTEST_SKIP() << "no GPU";
  }
};

TEST_F(GpuSkinnyLinear, every_case_with_every_configuration_that_runs_it) {
  for (const SkinnyCase& c : testing::matrix_cases())
    for (const auto& [group, columns] : {std::pair{4, 1}, {2, 1}, {1, 1}, {1, 2}})
      for (const int rows : {1, 2})
        for (const bool constant : {false, true}) {
          const SkinnyConfig config{true, group, columns, rows, constant ? 3u : 1u};
          SkinnySample sample(c, 7);
          OnDevice device(sample);
          device.args.weights_are_constant = constant;
          if (c.m > columns_of(config) || !skinny_config_for(device.args).matrix)
            continue;
          skinny_linear(device.args, config, nullptr);
          sample.expect_product(device.result());
        }
}

TEST_F(GpuSkinnyLinear, every_case_as_it_is_chosen) {
  std::vector<SkinnyCase> all = testing::matrix_cases();
  for (const SkinnyCase& c : testing::plain_cases()) all.push_back(c);
  for (const SkinnyCase& c : all) {
    SkinnySample sample(c, 11);
    const OnDevice device(sample);
    skinny_linear(device.args, nullptr);
    sample.expect_product(device.result());
  }
}

TEST_F(GpuSkinnyLinear, the_plain_kernel_takes_what_the_matrix_kernel_takes) {
  for (const SkinnyCase& c : testing::matrix_cases()) {
    SkinnySample sample(c, 12);
    const OnDevice device(sample);
    const auto grid = static_cast<unsigned>((c.n + 7) / 8);
    skinny_linear(device.args, {.matrix = false, .grid = grid}, nullptr);
    sample.expect_product(device.result());
  }
}

TEST_F(GpuSkinnyLinear, large_shapes_give_the_same_bits_twice_and_in_a_graph) {
  for (const int m : {1, 4, 8, 16}) {
    SkinnySample sample({.m = m, .n = 14336, .k = 4096}, 13);
    const OnDevice device(sample);
    skinny_linear(device.args, nullptr);
    const std::vector<std::byte> once = device.result();
    cudaStream_t stream{};
    cudaGraph_t graph{};
    cudaGraphExec_t executable{};
    ASSAY_CUDA_CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    ASSAY_CUDA_CHECK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
    skinny_linear(device.args, stream);
    skinny_linear(device.args, stream);
    ASSAY_CUDA_CHECK(cudaStreamEndCapture(stream, &graph));
    ASSAY_CUDA_CHECK(cudaGraphInstantiate(&executable, graph, 0));
    ASSAY_CUDA_CHECK(cudaMemset(device.y.get(), 0xff, device.y_bytes));
    ASSAY_CUDA_CHECK(cudaDeviceSynchronize());
    ASSAY_CUDA_CHECK(cudaGraphLaunch(executable, stream));
    EXPECT_EQ(device.result(), once) << "m = " << m;
    ASSAY_CUDA_CHECK(cudaGraphExecDestroy(executable));
    ASSAY_CUDA_CHECK(cudaGraphDestroy(graph));
    ASSAY_CUDA_CHECK(cudaStreamDestroy(stream));
  }
}

TEST_F(GpuSkinnyLinear, a_large_shape_is_right_for_each_number_of_rows) {
  for (const int m : {1, 3, 8, 16}) {
    SkinnySample sample({.m = m, .n = 4100, .k = 1024, .bias = true}, 14);
    const OnDevice device(sample);
    skinny_linear(device.args, nullptr);
    sample.expect_product(device.result());
  }
}

}  // namespace
}  // namespace assay::kernels::nf4
