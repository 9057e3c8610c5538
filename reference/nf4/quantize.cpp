// SPDX-License-Identifier: Apache-2.0
// The 4-bit quantizer of bitsandbytes, CPU and CUDA (quantize.hpp has the two side by side).
#include "reference/nf4/quantize.hpp"

#include <algorithm>
#include <cfloat>
#include <cmath>

#include "reference/nf4/rounding.hpp"
#include "reference/nf4/table.hpp"

namespace assay::reference::nf4 {
namespace {

float value_at(const QuantizeInput& in, std::int64_t i) {
  if (in.type == Scalar::kFloat32)
    return static_cast<const float*>(in.values)[i];
  const std::uint16_t bits = static_cast<const std::uint16_t*>(in.values)[i];
  return in.type == Scalar::kFloat16 ? from_f16(bits) : from_bf16(bits);
}

void put_nibble(std::uint8_t* packed, std::int64_t i, int code) {
  if (i % 2 == 0)
    packed[i / 2] = static_cast<std::uint8_t>(code << 4);
  else
    packed[i / 2] = static_cast<std::uint8_t>(packed[i / 2] | code);
}

int code_cpu(Codebook codebook, float x) {
  int place = 0;  // among the ascending values
  while (place < 15) {
    const float low = codebook == Codebook::kNf4 ? kNf4Code[place] : kFp4Code[kFp4Ascending[place]];
    const float high = codebook == Codebook::kNf4 ? kNf4Code[place + 1] : kFp4Code[kFp4Ascending[place + 1]];
    if ((low + high) / 2.0f >= x)
      break;
    ++place;
  }
  return codebook == Codebook::kNf4 ? place : kFp4Ascending[place];
}

int code_cuda(Codebook codebook, float x) {
  if (codebook == Codebook::kNf4)
    return static_cast<int>(
        std::count_if(kNf4CudaBound, kNf4CudaBound + 15, [x](float bound) { return x > bound; }));
  const float magnitude = std::fabs(x);
  const auto exceeded =
      std::count_if(kFp4CudaBound, kFp4CudaBound + 7, [magnitude](float bound) { return magnitude > bound; });
  return kFp4CudaMagnitude[exceeded] + (x < 0 ? 8 : 0);
}

float flush(float x) {
  return std::fabs(x) < FLT_MIN ? std::copysign(0.0f, x) : x;
}

}  // namespace

void quantize_as_cpu(const QuantizeInput& in, std::uint8_t* packed, float* absmax) {
  for (std::int64_t begin = 0; begin < in.count; begin += in.block_size) {
    const std::int64_t end = std::min(in.count, begin + in.block_size);
    float largest = 0.0f;
    for (std::int64_t i = begin; i < end; ++i) {
      const float magnitude = std::fabs(value_at(in, i));
      largest = std::isnan(largest) || largest > magnitude ? largest : magnitude;
    }
    const bool shorter = end - begin < in.block_size;
    const float divisor = largest < 1e-38f ? 1e-38f : largest;
    absmax[begin / in.block_size] = shorter ? divisor : largest;
    for (std::int64_t i = begin; i < end; ++i) {
      const float x = shorter ? value_at(in, i) / divisor : value_at(in, i) * (1.0f / divisor);
      put_nibble(packed, i, code_cpu(in.codebook, x));
    }
  }
  if (in.count % 2 != 0)
    put_nibble(packed, in.count, code_cpu(in.codebook, 0.0f));
}

void quantize_as_cuda(const QuantizeInput& in, const float* reciprocals, std::uint8_t* packed,
                      float* absmax) {
  for (std::int64_t begin = 0; begin < in.count; begin += in.block_size) {
    const std::int64_t block = begin / in.block_size;
    const std::int64_t end = std::min(in.count, begin + in.block_size);
    const bool shorter = end - begin < in.block_size;
    float largest = shorter ? 0.0f : -FLT_MAX;  // a shorter block is filled up with zeros
    for (std::int64_t i = begin; i < end; ++i)
      largest = std::fmax(largest, flush(std::fabs(value_at(in, i))));
    absmax[block] = largest;
    const float reciprocal = reciprocals != nullptr ? reciprocals[block] : flush(1.0f / largest);
    for (std::int64_t i = begin; i < end; ++i)
      put_nibble(packed, i, code_cuda(in.codebook, flush(flush(value_at(in, i)) * reciprocal)));
    if (end == in.count && in.count % 2 != 0)
      put_nibble(packed, in.count, code_cuda(in.codebook, 0.0f * reciprocal));
  }
}

}  // namespace assay::reference::nf4
