// SPDX-License-Identifier: Apache-2.0
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>
#include <stdexcept>
#include <vector>

#include "kernels/backprop/round_rows.hpp"
#include "kernels/common/cuda_check.hpp"
#include "kernels/common/device_bytes_test.hpp"

namespace assay::kernels::backprop {
namespace {

using testing::DeviceBytes;

/// The runtime's own host conversion.
std::uint16_t rounded(float x, LogitType type) {
  if (type == LogitType::kFloat16)
    return static_cast<__half_raw>(__float2half_rn(x)).x;
  return static_cast<__nv_bfloat16_raw>(__float2bfloat16_rn(x)).x;
}

struct Case {
  std::int64_t rows, columns, from_padding = 0, to_padding = 0;
  bool masked = false;
  float factor = 1.0f;
};

/// Every element against the host's rounding; nothing written between rows.
void expect_rounded(const Case& c, LogitType type) {
  const std::int64_t from_stride = c.columns + c.from_padding, to_stride = c.columns + c.to_padding;
  std::vector<float> from(static_cast<std::size_t>(c.rows * from_stride));
  std::mt19937 random(7);
  std::uniform_real_distribution<float> magnitude(-40.0f, 20.0f);
  for (float& x : from) x = std::ldexp(magnitude(random), static_cast<int>(magnitude(random)));
  from[0] = NAN, from[1] = INFINITY, from[2] = 65520.0f, from[3] = 0x1.01p0f, from[4] = -0.0f;
  std::vector<char> counts(static_cast<std::size_t>(c.rows), 1);
  if (c.masked) {
    for (std::size_t i = 1; i < counts.size(); i += 2)
      counts[i] = 0, from[i * static_cast<std::size_t>(from_stride)] = NAN;
  }
  const std::vector<std::uint16_t> poison(static_cast<std::size_t>(c.rows * to_stride), 0xa5a5);
  const DeviceBytes device_from(from.data(), from.size() * 4), device_to(poison.data(), poison.size() * 2),
      device_counts(counts.data(), counts.size()), device_factor(&c.factor, 4);
  RoundRows args;
  args.from = device_from.as<float>();
  args.to = device_to.get();
  args.type = type;
  args.rows = c.rows, args.columns = c.columns, args.from_stride = from_stride, args.to_stride = to_stride;
  args.counts = c.masked ? device_counts.as<bool>() : nullptr;
  args.factor = c.factor == 1.0f ? nullptr : device_factor.as<float>();
  round_rows(args, nullptr);
  std::vector<std::uint16_t> found(poison.size());
  device_to.copy_to(found.data());
  for (std::int64_t row = 0; row < c.rows; ++row) {
    for (std::int64_t column = 0; column < to_stride; ++column) {
      const std::uint16_t is = found[static_cast<std::size_t>(row * to_stride + column)];
      if (column >= c.columns) {
        ASSERT_EQ(is, 0xa5a5) << "written between rows at " << row << ", " << column;
        continue;
      }
      const float x = c.factor * from[static_cast<std::size_t>(row * from_stride + column)];
      if (counts[static_cast<std::size_t>(row)] == 0) {
        ASSERT_EQ(is, 0) << row << ", " << column;
      } else if (std::isnan(x)) {
        ASSERT_GT(is & 0x7fff, type == LogitType::kFloat16 ? 0x7c00 : 0x7f80);
      } else {
        ASSERT_EQ(is, rounded(x, type)) << row << ", " << column << ": " << x;
      }
    }
  }
}

class GpuRoundRows : public ::testing::TestWithParam<LogitType> {
 protected:
  void SetUp() override {
    if (!testing::has_gpu())
      GTEST_SKIP() << "no GPU";
  }
};

TEST_P(GpuRoundRows, every_element_is_rounded_as_the_host_rounds_it) {
  for (const Case& c : {Case{3, 8}, Case{5, 4096 * 3 + 8}, Case{2, 128256}, Case{7, 203}, Case{4, 64, 8, 16},
                        Case{4, 64, 4, 0}, Case{4, 64, 0, 3}})
    expect_rounded(c, GetParam());
}

TEST_P(GpuRoundRows, rows_that_do_not_count_become_zeros_whatever_they_held) {
  expect_rounded({9, 4104, 0, 0, true}, GetParam());
  expect_rounded({9, 101, 1, 2, true}, GetParam());
}

TEST_P(GpuRoundRows, a_factor_multiplies_before_the_one_rounding) {
  expect_rounded({5, 4104, 0, 0, false, 0.3f}, GetParam());
  expect_rounded({9, 101, 1, 2, true, 1.0f / 12289.0f}, GetParam());
}

TEST_P(GpuRoundRows, more_rows_than_a_grid_is_high_are_all_rounded) {
  expect_rounded({70000, 8, 0, 0, true}, GetParam());
}

TEST_P(GpuRoundRows, sixteen_bits_are_scaled_and_rounded_once) {
  for (const std::int64_t columns : {4104, 101}) {
    std::vector<std::uint16_t> from(static_cast<std::size_t>(3 * columns)), found(from.size());
    std::mt19937 random(5);
    for (std::uint16_t& x : from)
      x = static_cast<std::uint16_t>(0x3000 + random() % 0x800);  // normal numbers of both types
    const float factor = 0.7f;
    const DeviceBytes device_from(from), device_to(found), device_factor(&factor, 4);
    RoundRows args;
    args.from = device_from.get(), args.to = device_to.get(), args.type = GetParam(), args.from_f32 = false;
    args.rows = 3, args.columns = columns, args.from_stride = columns, args.to_stride = columns;
    args.factor = device_factor.as<float>();
    round_rows(args, nullptr);
    device_to.copy_to(found.data());
    for (std::size_t i = 0; i < from.size(); ++i) {
      const float x = GetParam() == LogitType::kFloat16 ? __half2float(__ushort_as_half(from[i]))
                                                        : __bfloat162float(__ushort_as_bfloat16(from[i]));
      ASSERT_EQ(found[i], rounded(factor * x, GetParam())) << i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Gpu, GpuRoundRows, ::testing::Values(LogitType::kFloat16, LogitType::kBfloat16));

TEST(RoundRows, nothing_to_do_and_bad_arguments) {
  round_rows({}, nullptr);
  float from = 0;
  std::uint16_t to = 0;
  RoundRows args;
  args.from = &from, args.to = &to, args.rows = 1, args.columns = 1, args.from_stride = 1, args.to_stride = 1;
  const auto with = [&](auto change) {
    RoundRows changed = args;
    change(changed);
    return changed;
  };
  EXPECT_THROW(round_rows(with([](RoundRows& a) { a.type = LogitType::kFloat32; }), nullptr),
               std::invalid_argument);
  EXPECT_THROW(round_rows(with([](RoundRows& a) { a.from = nullptr; }), nullptr), std::invalid_argument);
  EXPECT_THROW(round_rows(with([](RoundRows& a) { a.to_stride = 0; }), nullptr), std::invalid_argument);
  EXPECT_THROW(round_rows(with([](RoundRows& a) { a.rows = -1; }), nullptr), std::invalid_argument);
}

}  // namespace
}  // namespace assay::kernels::backprop
