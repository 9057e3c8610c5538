// SPDX-License-Identifier: Apache-2.0
#include "suites/nf4/matmul/cases.hpp"

#include <fmt/format.h>

#include "suites/nf4/matmul/suite.hpp"

namespace assay::suites::nf4::matmul {
namespace {

using harness::Case;
using harness::DeviceKind;
using harness::Dtype;

constexpr std::int64_t kRows[] = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192};  // of x

struct Linear {
  std::int64_t n, k;
  bool llama_8b = false;
};

// Shapes once each: q and o, k and v, gate and up are alike.
constexpr Linear kLinears[] = {
    {2048, 2048},       {512, 2048},        {8192, 2048},        {2048, 8192},         // 1B
    {4096, 4096, true}, {1024, 4096, true}, {14336, 4096, true}, {4096, 14336, true},  // 8B
    {8192, 8192},       {1024, 8192},       {28672, 8192},       {8192, 28672},        // 70B
};

/// 64 sets, the most that rotate, of these weights fit a GPU's L2: a graph would time L2.
bool stays_in_cache(const Linear& linear) {
  return linear.n * linear.k <= std::int64_t{512} * 2048;
}

Case product(const MatmulCase& c, std::uint64_t seed) {
  Case out;
  out.name = fmt::format("{}x{}/m{}/{}", c.n, c.k, c.m, harness::name_of(c.dtype));
  if (c.block_size != 64)
    out.name += fmt::format("/block{}", c.block_size);
  out.parameters = c;
  out.seed = seed;
  out.devices = {DeviceKind::kCuda};
  return out;
}

/// What a default run takes, so that it stays short: the middle model's in bf16 with every skinny M, the
/// others and f16 at one row.
bool in_default_run(const Linear& linear, const MatmulCase& c) {
  return c.m == 1 ? c.dtype == Dtype::kBfloat16 || linear.llama_8b
                  : c.m <= 16 && c.dtype == Dtype::kBfloat16 && linear.llama_8b;
}

/// Timed on both devices where a CPU needs no minutes: the small model's square and the middle one's.
bool also_on_cpu(const MatmulCase& c) {
  return c.dtype == Dtype::kBfloat16 && c.n == c.k &&
         ((c.n == 2048 && (c.m == 1 || c.m == 16)) || (c.n == 4096 && c.m == 1));
}

void add_linears(std::vector<Case>& cases) {
  for (const Linear& linear : kLinears) {
    for (const Dtype dtype : {Dtype::kBfloat16, Dtype::kFloat16}) {
      for (const std::int64_t m : kRows) {
        const MatmulCase c{.n = linear.n, .k = linear.k, .m = m, .dtype = dtype};
        Case which = product(c, static_cast<std::uint64_t>(m));
        which.measured = !stays_in_cache(linear);
        which.on_request = !in_default_run(linear, c) && !also_on_cpu(c);
        if (also_on_cpu(c))
          which.devices = {DeviceKind::kCpu, DeviceKind::kCuda};
        cases.push_back(std::move(which));
      }
    }
  }
  for (const std::int64_t m : {1, 16})
    cases.push_back(product({.n = 4096, .k = 14336, .m = m, .block_size = 128}, 1));
}

/// Judged on either device, not timed.
void add_edges(std::vector<Case>& cases) {
  const MatmulCase edges[] = {
      {.n = 256, .k = 1024, .m = 1},
      {.n = 100, .k = 4160, .m = 1, .dtype = Dtype::kFloat16},  // K: 16 steps of 256 and 64
      {.n = 200, .k = 2112, .m = 2, .block_size = 128},         // half a block at every row's end
      {.n = 112, .k = 576, .m = 3, .dtype = Dtype::kFloat16},
      {.n = 192, .k = 2368, .m = 4},
      {.n = 96, .k = 1000, .m = 5, .dtype = Dtype::kFloat16},  // rows begin inside blocks
      {.n = 128, .k = 2240, .m = 8, .dtype = Dtype::kFloat16, .block_size = 128},
      {.n = 65, .k = 333, .m = 9},  // rows begin inside bytes
      {.n = 160, .k = 832, .m = 16},
      {.n = 96, .k = 1088, .m = 16, .dtype = Dtype::kFloat16},
  };
  std::uint64_t seed = 1;
  for (const MatmulCase& c : edges) {
    Case which = product(c, seed++);
    which.quick = true;
    which.measured = false;
    which.devices = {DeviceKind::kCpu, DeviceKind::kCuda};
    cases.push_back(std::move(which));
  }
}

}  // namespace

std::vector<Case> matmul_cases() {
  std::vector<Case> cases;
  add_linears(cases);
  add_edges(cases);
  return cases;
}

}  // namespace assay::suites::nf4::matmul
