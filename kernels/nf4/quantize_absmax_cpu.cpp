// SPDX-License-Identifier: Apache-2.0
// Second level of quantization on the CPU, with the bits of bitsandbytes 0.50's CPU library (csrc/cpu_ops.cpp
// quantize_cpu): a scaled value is first cut to one of 65536 steps, and the step decides the code. One value
// in 64 weights comes here, so the loops are plain; the table from step to code replaces a search per value.
#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>
#include <vector>

#include "kernels/common/parallel_for.hpp"
#include "kernels/nf4/quantize.hpp"

namespace assay::kernels::nf4 {
namespace {

constexpr int kSteps = 65536;

float value_of(int step) {
  return 2.0f * static_cast<float>(step) / 65535.0f - 1.0f;
}

/// First step whose value exceeds `bound`; kSteps when none does, NaN included.
int first_step_above(float bound) {
  int low = 0, high = kSteps;
  while (low < high) {
    const int middle = low + (high - low) / 2;
    if (value_of(middle) > bound)
      high = middle;
    else
      low = middle + 1;
  }
  return low;
}

/// code_of[step]: the number of midpoints below the step's value.
std::vector<std::uint8_t> make_code_of(const float* code) {
  std::vector<std::uint8_t> code_of(kSteps, 255);
  int filled = 0;
  for (int i = 0; i < 255; ++i) {
    const int end = first_step_above((code[i] + code[i + 1]) * 0.5f);
    if (end > filled) {
      std::fill(code_of.begin() + filled, code_of.begin() + end, static_cast<std::uint8_t>(i));
      filled = end;
    }
  }
  return code_of;
}

/// trunc(fma((x + 1) / 2, 65535, 0.5)) of x clamped to [-1, 1], 0 for NaN. In f64 product and sum are exact,
/// so that rounding to f32 once is what the fused multiply-add does.
int step_of(float x) {
  if (!(x >= -1.0f))
    return 0;
  const double half = (std::min(x, 1.0f) + 1.0f) * 0.5f;
  return static_cast<int>(static_cast<float>(half * 65535.0 + 0.5));
}

void encode_block(const float* absmax, std::int64_t count, float offset, const std::uint8_t* code_of,
                  std::uint8_t* codes, float* nested_absmax) {
  float largest = 0.0f;
  for (std::int64_t i = 0; i < count; ++i)
    largest = std::max(largest, std::fabs(absmax[i] - offset));  // a NaN is passed over
  *nested_absmax = largest;
  const float reciprocal = 1.0f / largest;
  for (std::int64_t i = 0; i < count; ++i)
    codes[i] = largest == 0.0f ? 0 : code_of[step_of((absmax[i] - offset) * reciprocal)];
}

}  // namespace

void quantize_absmax_cpu(const QuantizeAbsmaxArgs& args, int num_threads) {
  validate(args);
  if (args.num_blocks == 0)
    return;
  const std::vector<std::uint8_t> code_of = make_code_of(args.nested_code);
  const std::int64_t size = args.nested_block_size;
  parallel_for((args.num_blocks + size - 1) / size, std::max<std::int64_t>(1, 16384 / size), num_threads,
               [&](std::int64_t first, std::int64_t last) {
                 for (std::int64_t block = first; block < last; ++block) {
                   const std::int64_t begin = block * size;
                   encode_block(args.absmax + begin, std::min(size, args.num_blocks - begin), *args.offset,
                                code_of.data(), args.absmax_codes + begin, args.nested_absmax + block);
                 }
               });
}

void mean_absmax_cpu(const float* absmax, std::int64_t count, float* offset) {
  if (count <= 0 || absmax == nullptr || offset == nullptr)
    throw std::invalid_argument(
        "mean_absmax_cpu: expected at least one absmax and non-null pointers, found count " +
        std::to_string(count) + "; skip the second level for an empty tensor");
  double sum = 0.0;
  for (std::int64_t i = 0; i < count; ++i) sum += absmax[i];
  *offset = static_cast<float>(sum / static_cast<double>(count));
}

}  // namespace assay::kernels::nf4
