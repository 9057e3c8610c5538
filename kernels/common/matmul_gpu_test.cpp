// SPDX-License-Identifier: Apache-2.0
// Products on the machine's GPU against a double loop. Bounds follow from f32 accumulation of k terms and one
// rounding of the result; operands of few significant bits would hide TF32, so they are full-precision random
// numbers.
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "kernels/common/device_bytes_test.hpp"
#include "kernels/common/matmul.hpp"

namespace assay::kernels {
namespace {

using testing::DeviceBytes;

std::size_t size_of(MatmulType type) {
  return type == MatmulType::kFloat32 ? 4 : 2;
}

double decode(const std::byte* at, MatmulType type) {
  if (type == MatmulType::kFloat32) {
    float f;
    std::memcpy(&f, at, 4);
    return static_cast<double>(f);
  }
  std::uint16_t bits;
  std::memcpy(&bits, at, 2);
  return static_cast<double>(type == MatmulType::kFloat16 ? __half2float(__ushort_as_half(bits))
                                                          : __bfloat162float(__ushort_as_bfloat16(bits)));
}

void encode(float value, std::byte* at, MatmulType type) {
  if (type == MatmulType::kFloat32) {
    std::memcpy(at, &value, 4);
    return;
  }
  const std::uint16_t bits = type == MatmulType::kFloat16 ? __half_as_ushort(__float2half_rn(value))
                                                          : __bfloat16_as_ushort(__float2bfloat16_rn(value));
  std::memcpy(at, &bits, 2);
}

/// Random [rows, columns] inside rows of `stride` elements; what lies between is filled with 0xa5.
struct Matrix {
  Matrix(std::int64_t rows, std::int64_t columns, std::int64_t stride, MatmulType type, unsigned seed)
      : stride(stride),
        type(type),
        bytes(static_cast<std::size_t>(rows * stride) * size_of(type), std::byte{0xa5}) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal;
    for (std::int64_t i = 0; i < rows; ++i)
      for (std::int64_t j = 0; j < columns; ++j) encode(normal(random), at(i, j), type);
  }
  std::byte* at(std::int64_t i, std::int64_t j) {
    return bytes.data() + static_cast<std::size_t>(i * stride + j) * size_of(type);
  }
  double value(std::int64_t i, std::int64_t j) { return decode(at(i, j), type); }

  std::int64_t stride;
  MatmulType type;
  std::vector<std::byte> bytes;
};

struct Case {
  std::int64_t m, n, k;
  MatmulType in = MatmulType::kBfloat16, out = MatmulType::kBfloat16;
  bool transpose_a = false, transpose_b = false;
  float alpha = 1.0f, beta = 0.0f;
  std::int64_t padding = 0;
  std::size_t workspace = std::size_t{32} << 20;
};

void expect_product(const Case& c) {
  const std::string text = std::to_string(c.m) + "x" + std::to_string(c.n) + "x" + std::to_string(c.k) +
                           " types " + std::to_string(static_cast<int>(c.in)) +
                           std::to_string(static_cast<int>(c.out)) + " transposed " +
                           std::to_string(c.transpose_a) + std::to_string(c.transpose_b) + " beta " +
                           std::to_string(c.beta) + " padding " + std::to_string(c.padding);
  const std::int64_t a_columns = c.transpose_a ? c.m : c.k, b_columns = c.transpose_b ? c.k : c.n;
  Matrix a(c.transpose_a ? c.k : c.m, a_columns, a_columns + c.padding, c.in, 1);
  Matrix b(c.transpose_b ? c.n : c.k, b_columns, b_columns + c.padding, c.in, 2);
  Matrix d(c.m, c.n, c.n + c.padding, c.out, 3);
  if (c.beta == 0.0f)  // poison: must not be read
    for (std::int64_t i = 0; i < c.m; ++i)
      for (std::int64_t j = 0; j < c.n; ++j) encode(NAN, d.at(i, j), c.out);
  const DeviceBytes device_a(a.bytes), device_b(b.bytes), device_d(d.bytes), workspace(nullptr, c.workspace);
  matmul({.a = device_a.get(),
          .b = device_b.get(),
          .d = device_d.get(),
          .m = c.m,
          .n = c.n,
          .k = c.k,
          .lda = a.stride,
          .ldb = b.stride,
          .ldd = d.stride,
          .transpose_a = c.transpose_a,
          .transpose_b = c.transpose_b,
          .in_type = c.in,
          .out_type = c.out,
          .alpha = c.alpha,
          .beta = c.beta,
          .workspace = workspace.get(),
          .workspace_bytes = c.workspace},
         nullptr);
  ASSAY_CUDA_CHECK(cudaDeviceSynchronize());
  Matrix found = d;
  device_d.copy_to(found.bytes.data());
  const double rounding = c.out == MatmulType::kFloat32   ? 0x1p-24
                          : c.out == MatmulType::kFloat16 ? 0x1p-11
                                                          : 0x1p-8;
  for (std::int64_t i = 0; i < c.m; ++i) {
    for (std::int64_t j = 0; j < c.n; ++j) {
      double sum = 0.0, terms = 0.0, squares = 0.0;
      for (std::int64_t l = 0; l < c.k; ++l) {
        const double term =
            (c.transpose_a ? a.value(l, i) : a.value(i, l)) * (c.transpose_b ? b.value(j, l) : b.value(l, j));
        sum += term;
        terms += std::fabs(term);
        squares += term * term;
      }
      const double product = static_cast<double>(c.alpha) * sum;
      const double old = c.beta == 0.0f ? 0.0 : static_cast<double>(c.beta) * d.value(i, j);
      const double wanted = product + old;
      // The product may be rounded to d's type before the old value is added. Tensor cores drop bits below
      // f32 while aligning 16 terms, and each such step may cut a bit off the partial sum, which walks
      // randomly to its end.
      const double cut =
          static_cast<double>(c.k) / 16.0 * 0x1p-23 * (std::fabs(sum) + 2.0 * std::sqrt(squares));
      const double bound =
          rounding * (std::fabs(wanted) + std::fabs(old) + (old != 0.0 ? std::fabs(product) : 0.0)) +
          0x1p-21 * terms + cut + 1e-7;
      ASSERT_TRUE(std::fabs(found.value(i, j) - wanted) <= bound)
          << text << " at " << i << ", " << j << ": found " << found.value(i, j) << ", wanted " << wanted
          << " ± " << bound;
    }
    for (std::int64_t j = c.n; j < d.stride; ++j)
      ASSERT_EQ(std::memcmp(found.at(i, j), d.at(i, j), size_of(c.out)), 0)
          << text << " wrote between its rows";
  }
}

class GpuMatmul : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!testing::has_gpu())
      GTEST_SKIP() << "no GPU";
  }
};

constexpr std::pair<MatmulType, MatmulType> kTypes[] = {{MatmulType::kFloat16, MatmulType::kFloat16},
                                                        {MatmulType::kFloat16, MatmulType::kFloat32},
                                                        {MatmulType::kBfloat16, MatmulType::kBfloat16},
                                                        {MatmulType::kBfloat16, MatmulType::kFloat32},
                                                        {MatmulType::kFloat32, MatmulType::kFloat32}};

TEST_F(GpuMatmul, every_type_transposition_and_beta_is_the_product) {
  for (const auto& [in, out] : kTypes) {
    for (const bool transpose_a : {false, true}) {
      for (const bool transpose_b : {false, true}) {
        for (const float beta : {0.0f, 1.0f, -0.5f})
          expect_product({.m = 64,
                          .n = 96,
                          .k = 128,
                          .in = in,
                          .out = out,
                          .transpose_a = transpose_a,
                          .transpose_b = transpose_b,
                          .alpha = 0.75f,
                          .beta = beta});
      }
    }
  }
}

TEST_F(GpuMatmul, odd_sizes_and_rows_at_any_alignment_are_the_product) {
  for (const auto& [in, out] : kTypes) {
    for (const bool transpose : {false, true}) {
      for (const std::int64_t padding : {0, 1, 8}) {
        expect_product({.m = 33,
                        .n = 101,
                        .k = 67,
                        .in = in,
                        .out = out,
                        .transpose_a = transpose,
                        .transpose_b = !transpose,
                        .beta = 1.0f,
                        .padding = padding});
        expect_product(
            {.m = 1, .n = 7, .k = 256, .in = in, .out = out, .transpose_b = transpose, .padding = padding});
        expect_product(
            {.m = 50, .n = 1, .k = 1, .in = in, .out = out, .transpose_a = transpose, .padding = padding});
      }
    }
  }
}

TEST_F(GpuMatmul, without_workspace_and_with_a_long_inner_size_it_is_the_product) {
  for (const auto& [in, out] : kTypes) {
    expect_product({.m = 16, .n = 32, .k = 8192, .in = in, .out = out, .transpose_b = true});
    expect_product({.m = 16, .n = 32, .k = 8192, .in = in, .out = out, .transpose_b = true, .workspace = 0});
  }
}

TEST_F(GpuMatmul, an_inner_size_of_zero_scales_the_result) {
  for (const auto& [in, out] : kTypes) {
    for (const float beta : {0.0f, 1.0f, 0.5f})
      expect_product({.m = 5, .n = 9, .k = 0, .in = in, .out = out, .beta = beta, .padding = 3});
  }
}

TEST_F(GpuMatmul, captured_calls_replay_and_equal_calls_give_equal_bits) {
  const std::int64_t m = 256, n = 512, k = 1024;
  Matrix a(m, k, k, MatmulType::kBfloat16, 1), b(n, k, k, MatmulType::kBfloat16, 2);
  const DeviceBytes device_a(a.bytes), device_b(b.bytes), d(nullptr, m * n * 4), workspace(nullptr, 32 << 20);
  const MatmulArgs args{.a = device_a.get(),
                        .b = device_b.get(),
                        .d = d.get(),
                        .m = m,
                        .n = n,
                        .k = k,
                        .transpose_b = true,
                        .out_type = MatmulType::kFloat32,
                        .workspace = workspace.get(),
                        .workspace_bytes = 32 << 20};
  std::vector<float> direct(m * n), replayed(m * n);
  cudaStream_t stream{};
  cudaGraph_t graph{};
  cudaGraphExec_t exec{};
  ASSAY_CUDA_CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  ASSAY_CUDA_CHECK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  matmul(args, stream);
  ASSAY_CUDA_CHECK(cudaStreamEndCapture(stream, &graph));
  ASSAY_CUDA_CHECK(cudaGraphInstantiate(&exec, graph, 0));
  matmul(args, stream);
  ASSAY_CUDA_CHECK(cudaStreamSynchronize(stream));
  d.copy_to(direct.data());
  for (int i = 0; i < 3; ++i) {
    ASSAY_CUDA_CHECK(cudaMemset(d.get(), 0xff, direct.size() * 4));
    ASSAY_CUDA_CHECK(cudaGraphLaunch(exec, stream));
    ASSAY_CUDA_CHECK(cudaStreamSynchronize(stream));
    d.copy_to(replayed.data());
    ASSERT_EQ(std::memcmp(direct.data(), replayed.data(), direct.size() * 4), 0);
  }
  cudaGraphExecDestroy(exec);
  cudaGraphDestroy(graph);
  cudaStreamDestroy(stream);
}

TEST_F(GpuMatmul, threads_share_handles_and_algorithms) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([t] {
      for (std::int64_t i = 0; i < 8; ++i) expect_product({.m = 17 + i, .n = 24, .k = 40 + t % 2});
    });
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace assay::kernels
