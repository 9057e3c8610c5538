// SPDX-License-Identifier: Apache-2.0
// The second level: absmax minus offset in 8 bits, CPU and CUDA (quantize.hpp has the two side by side).
#include <algorithm>
#include <cfloat>
#include <cmath>

#include "reference/nf4/quantize.hpp"

namespace assay::reference::nf4 {
namespace {

float midpoint(const float* code, int i) {
  return (code[i] + code[i + 1]) * 0.5f;
}

/// Of the 65536 steps that the CPU path distinguishes, the one that a scaled value falls on.
int step_of(float x) {
  if (std::isnan(x))
    return 0;
  const float clamped = std::clamp(x, -1.0f, 1.0f);
  return static_cast<int>(std::fma((clamped + 1.0f) * 0.5f, 65535.0f, 0.5f));
}

int code_of_step(const float* code, int step) {
  const float x = 2.0f * static_cast<float>(step) / 65535.0f - 1.0f;
  int i = 0;
  while (i < 255 && midpoint(code, i) < x) ++i;
  return i;
}

/// Midpoint i separates codes i and i + 1. On a tie the even one of them is kept.
int nearest_code(const float* code, float x) {
  int i = 0;
  while (i < 255 && (i % 2 == 0 ? x > midpoint(code, i) : x >= midpoint(code, i))) ++i;
  return i;
}

float flush(float x) {
  return std::fabs(x) < FLT_MIN ? std::copysign(0.0f, x) : x;
}

}  // namespace

void quantize_absmax_as_cpu(const QuantizeAbsmaxInput& in, std::uint8_t* codes, float* nested_absmax) {
  for (std::int64_t begin = 0; begin < in.count; begin += in.block_size) {
    const std::int64_t end = std::min(in.count, begin + in.block_size);
    float largest = 0.0f;
    for (std::int64_t i = begin; i < end; ++i)
      largest = std::fmax(largest, std::fabs(in.absmax[i] - in.offset));
    nested_absmax[begin / in.block_size] = largest;
    for (std::int64_t i = begin; i < end; ++i) {
      const float scaled = (in.absmax[i] - in.offset) * (1.0f / largest);
      codes[i] = static_cast<std::uint8_t>(largest == 0.0f ? 0 : code_of_step(in.code, step_of(scaled)));
    }
  }
}

void quantize_absmax_as_cuda(const QuantizeAbsmaxInput& in, const float* reciprocals, std::uint8_t* codes,
                             float* nested_absmax) {
  for (std::int64_t begin = 0; begin < in.count; begin += in.block_size) {
    const std::int64_t block = begin / in.block_size;
    const std::int64_t end = std::min(in.count, begin + in.block_size);
    float largest = end - begin < in.block_size ? 0.0f : -FLT_MAX;
    for (std::int64_t i = begin; i < end; ++i)
      largest = std::fmax(largest, flush(std::fabs(in.absmax[i] - in.offset)));
    nested_absmax[block] = largest;
    const float reciprocal = reciprocals != nullptr ? reciprocals[block] : flush(1.0f / largest);
    for (std::int64_t i = begin; i < end; ++i)
      codes[i] = static_cast<std::uint8_t>(
          nearest_code(in.code, flush(flush(in.absmax[i] - in.offset) * reciprocal)));
  }
}

float mean_absmax(const float* absmax, std::int64_t count) {
  double sum = 0.0;
  for (std::int64_t i = 0; i < count; ++i) sum += absmax[i];
  return static_cast<float>(sum / static_cast<double>(count));
}

}  // namespace assay::reference::nf4
