// SPDX-License-Identifier: Apache-2.0
// The skinny kernels' own source, run on a CPU over the same cases as on a GPU.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "kernels/nf4/matmul/plain_kernel.cuh"
#include "kernels/nf4/matmul/skinny_cases_test.hpp"
#include "kernels/nf4/matmul/skinny_check.hpp"
#include "kernels/nf4/matmul/skinny_kernel.cuh"

namespace assay::kernels::nf4 {
namespace {

using testing::SkinnyCase;
using testing::SkinnySample;

template <class Kernel>
void run_kernel(unsigned grid, const device::SkinnyParams& p) {
  device::grid_size() = grid;
  emulated::run({grid, Kernel::kThreads, 1, Kernel::kSharedBytes}, [&] { Kernel(p).run(); });
}

template <class T>
void run_as(const SkinnyConfig& c, const device::SkinnyParams& p) {
  const int which = c.blocks_a_group * 100 + c.column_tiles * 10 + c.row_tiles;
  switch (which) {
    case 411:
      return run_kernel<device::Skinny<T, 4, 1, 1>>(c.grid, p);
    case 412:
      return run_kernel<device::Skinny<T, 4, 1, 2>>(c.grid, p);
    case 211:
      return run_kernel<device::Skinny<T, 2, 1, 1>>(c.grid, p);
    case 212:
      return run_kernel<device::Skinny<T, 2, 1, 2>>(c.grid, p);
    case 111:
      return run_kernel<device::Skinny<T, 1, 1, 1>>(c.grid, p);
    case 112:
      return run_kernel<device::Skinny<T, 1, 1, 2>>(c.grid, p);
    case 121:
      return run_kernel<device::Skinny<T, 1, 2, 1>>(c.grid, p);
    case 122:
      return run_kernel<device::Skinny<T, 1, 2, 2>>(c.grid, p);
    default:
      FAIL() << "no such configuration: " << which;
  }
}

void run(SkinnySample& sample, const SkinnyConfig& config, bool weights_are_constant) {
  SkinnyArgs args = checked(sample.args());
  args.weights_are_constant = weights_are_constant;
  check(config, problem_of(args, 90, 132));
  const device::SkinnyParams p = params_of(args);
  return args.type == ScalarType::kFloat16 ? run_as<__half>(config, p) : run_as<__nv_bfloat16>(config, p);
}

TEST(SkinnyEmulated, every_case_with_every_configuration_that_holds_its_rows) {
  for (const SkinnyCase& c : testing::matrix_cases())
    for (const auto& [group, columns] : {std::pair{4, 1}, {2, 1}, {1, 1}, {1, 2}})
      for (const int rows : {1, 2})
        for (const unsigned grid : {1u, 3u}) {
          const SkinnyConfig config{true, group, columns, rows, grid};
          if (c.m > columns_of(config))
            continue;
          SkinnySample sample(c, 7);
          run(sample, config, grid == 3);
          sample.expect_product(sample.y);
        }
}

TEST(SkinnyEmulated, more_blocks_than_tiles_do_no_harm) {
  SkinnySample sample({.m = 1, .n = 20, .k = 512}, 8);
  run(sample, {true, 4, 1, 1, 5}, true);
  sample.expect_product(sample.y);
}

TEST(SkinnyEmulated, infinity_in_x_reaches_its_own_row_alone) {
  SkinnySample sample({.m = 2, .n = 16, .k = 512}, 9);
  const std::uint16_t infinity = 0x7f80;
  std::memcpy(&sample.x[2 * (512 + 77)], &infinity, 2);
  run(sample, {true, 4, 1, 1, 1}, false);
  const auto* const y = reinterpret_cast<const __nv_bfloat16*>(sample.y.data());
  for (int n = 0; n < 16; ++n) {
    EXPECT_TRUE(std::isfinite(__bfloat162float(y[n])));
    EXPECT_FALSE(std::isfinite(__bfloat162float(y[16 + n])));
  }
}

template <class T>
void run_plain(const device::SkinnyParams& p) {
  const unsigned grid = (p.n + device::kPlainWarps - 1) / device::kPlainWarps;
  device::grid_size() = grid;
  emulated::run({grid, 32 * device::kPlainWarps, 1, 64}, [&] { device::plain_rows<T>(p); });
}

TEST(SkinnyEmulated, what_the_matrix_kernel_refuses_the_plain_one_takes) {
  for (const SkinnyCase& c : testing::plain_cases()) {
    SkinnySample sample(c, 10);
    const SkinnyArgs args = checked(sample.args());
    EXPECT_FALSE(choose_skinny_config(problem_of(args, 90, 132)).matrix) << c.name();
    const device::SkinnyParams p = params_of(args);
    if (c.type == ScalarType::kFloat32)
      run_plain<float>(p);
    else if (c.type == ScalarType::kFloat16)
      run_plain<__half>(p);
    else
      run_plain<__nv_bfloat16>(p);
    sample.expect_product(sample.y);
  }
}

}  // namespace
}  // namespace assay::kernels::nf4
