// SPDX-License-Identifier: Apache-2.0
// AdamW and the square sum on the machine's GPU against their formulas in f64.
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <stdexcept>
#include <vector>

#include "kernels/common/device_bytes_test.hpp"
#include "kernels/compile/adamw.hpp"

namespace assay::kernels::compile {
namespace {

using kernels::testing::DeviceBytes;

std::vector<float> numbers(std::int64_t count, unsigned seed, float low, float high) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> uniform(low, high);
  std::vector<float> out(static_cast<std::size_t>(count));
  for (float& x : out) x = uniform(random);
  return out;
}

/// Host arrays, their device copies, and one step of both.
struct Slab {
  explicit Slab(std::int64_t count)
      : gradient(numbers(count, 1, -1, 1)),
        parameter(numbers(count, 2, -1, 1)),
        mean(numbers(count, 3, -0.1f, 0.1f)),
        square(numbers(count, 4, 0, 0.1f)) {}

  std::vector<float> gradient, parameter, mean, square, copy;

  double square_sum() const {
    double sum = 0;
    for (const float g : gradient) sum += static_cast<double>(g) * g;
    return sum;
  }

  /// Runs the kernels; what they leave replaces the host arrays. Returns the square sum they found.
  float run(std::vector<float> settings, CopyType type) {
    const auto count = static_cast<std::int64_t>(gradient.size());
    const DeviceBytes g(gradient), p(parameter), m(mean), v(square), set(settings), sum(nullptr, 4),
        workspace(nullptr, square_sum_workspace_bytes()), copied(nullptr, gradient.size() * 4);
    compile::square_sum(g.as<float>(), count, workspace.get(), sum.as<float>(), nullptr);
    adamw({.count = count,
           .gradient = g.as<float>(),
           .parameter = p.as<float>(),
           .mean = m.as<float>(),
           .square = v.as<float>(),
           .copy = copied.get(),
           .copy_type = type,
           .settings = set.as<float>(),
           .square_sum = sum.as<float>()},
          nullptr);
    ASSAY_CUDA_CHECK(cudaDeviceSynchronize());
    p.copy_to(parameter.data());
    m.copy_to(mean.data());
    v.copy_to(square.data());
    copy = copy_of(copied, type);
    float found = 0;
    sum.copy_to(&found);
    return found;
  }

 private:
  std::vector<float> copy_of(const DeviceBytes& bytes, CopyType type) const {
    std::vector<float> out(gradient.size());
    bytes.copy_to(out.data());
    if (type == CopyType::kFloat32)
      return out;
    const auto* bits = reinterpret_cast<const std::uint16_t*>(out.data());
    std::vector<float> wide(out.size());
    for (std::size_t i = 0; i < wide.size(); ++i)
      wide[i] = type == CopyType::kFloat16 ? __half2float(__ushort_as_half(bits[i]))
                                           : __bfloat162float(__ushort_as_bfloat16(bits[i]));
    return wide;
  }
};

class GpuAdamW : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!kernels::testing::has_gpu())
      GTEST_SKIP() << "no GPU";
  }
};

TEST_F(GpuAdamW, moves_every_element_as_the_formula_says) {
  for (const std::int64_t count : {1, 3, 4, 1023, 4096, 100003}) {
    for (const float largest : {0.0f, 0.5f, 1e9f}) {
      Slab slab(count);
      const Slab before = slab;
      const float rate = 3e-3f, step = 7.0f, decay = 0.1f;
      const double sum = slab.run({rate, step, decay, largest}, CopyType::kFloat32);
      EXPECT_NEAR(sum, before.square_sum(), 1e-5 * before.square_sum());
      const double clip =
          largest > 0 ? std::min(1.0, largest / (std::sqrt(before.square_sum()) + 1e-6)) : 1.0;
      for (std::size_t i = 0; i < before.gradient.size(); ++i) {
        const double g = clip * before.gradient[i];
        const double m = 0.9 * before.mean[i] + 0.1 * g, v = 0.999 * before.square[i] + 0.001 * g * g;
        const double moved =
            (m / (1 - std::pow(0.9, step))) / (std::sqrt(v / (1 - std::pow(0.999, step))) + 1e-8);
        const double p = before.parameter[i] * (1 - static_cast<double>(rate) * decay) - rate * moved;
        ASSERT_NEAR(slab.mean[i], m, 1e-6) << i;
        ASSERT_NEAR(slab.square[i], v, 1e-6) << i;
        ASSERT_NEAR(slab.parameter[i], p, 3e-6) << i << " of " << count << ", largest norm " << largest;
        ASSERT_EQ(slab.copy[i], slab.parameter[i]);
      }
    }
  }
}

TEST_F(GpuAdamW, copies_are_the_parameters_rounded_once) {
  for (const CopyType type : {CopyType::kFloat16, CopyType::kBfloat16}) {
    Slab slab(1001);
    slab.run({1e-2f, 1.0f, 0.0f, 1.0f}, type);
    for (std::size_t i = 0; i < slab.copy.size(); ++i) {
      const float wanted = type == CopyType::kFloat16
                               ? __half2float(__float2half_rn(slab.parameter[i]))
                               : __bfloat162float(__float2bfloat16_rn(slab.parameter[i]));
      ASSERT_EQ(slab.copy[i], wanted) << i;
    }
  }
}

TEST_F(GpuAdamW, a_gradient_that_is_not_finite_moves_nothing) {
  for (const float bad : {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
    Slab slab(5000);
    slab.gradient[4321] = bad;
    const Slab before = slab;
    slab.run({1e-2f, 1.0f, 0.1f, 1.0f}, CopyType::kBfloat16);
    EXPECT_EQ(slab.parameter, before.parameter);
    EXPECT_EQ(slab.mean, before.mean);
    EXPECT_EQ(slab.square, before.square);
  }
}

TEST_F(GpuAdamW, equal_calls_give_equal_bits) {
  const auto values = numbers(3000001, 9, -1, 1);
  const DeviceBytes device(values), workspace(nullptr, square_sum_workspace_bytes()), out(nullptr, 4);
  float first = 0, again = 0;
  for (float* each : {&first, &again}) {
    square_sum(device.as<float>(), static_cast<std::int64_t>(values.size()), workspace.get(), out.as<float>(),
               nullptr);
    ASSAY_CUDA_CHECK(cudaDeviceSynchronize());
    out.copy_to(each);
  }
  EXPECT_EQ(first, again);
}

TEST(AdamWArguments, bad_ones_are_refused_and_nothing_does_nothing) {
  adamw({}, nullptr);
  alignas(16) float memory[8] = {};
  AdamWArgs args{.count = 4,
                 .gradient = memory,
                 .parameter = memory,
                 .mean = memory,
                 .square = memory,
                 .settings = memory,
                 .square_sum = memory};
  const auto with = [&](auto change) {
    AdamWArgs changed = args;
    change(changed);
    return changed;
  };
  EXPECT_THROW(adamw(with([](AdamWArgs& a) { a.count = -1; }), nullptr), std::invalid_argument);
  EXPECT_THROW(adamw(with([](AdamWArgs& a) { a.gradient = nullptr; }), nullptr), std::invalid_argument);
  EXPECT_THROW(adamw(with([&](AdamWArgs& a) { a.mean = memory + 1; }), nullptr), std::invalid_argument);
  EXPECT_THROW(adamw(with([](AdamWArgs& a) { a.settings = nullptr; }), nullptr), std::invalid_argument);
  EXPECT_THROW(adamw(with([](AdamWArgs& a) { a.copy_type = static_cast<CopyType>(9); }), nullptr),
               std::invalid_argument);
  EXPECT_THROW(square_sum(memory, -1, memory, memory, nullptr), std::invalid_argument);
  EXPECT_THROW(square_sum(memory, 4, nullptr, memory, nullptr), std::invalid_argument);
}

}  // namespace
}  // namespace assay::kernels::compile
