// SPDX-License-Identifier: Apache-2.0
#include "suites/conformance/plain_quantize.hpp"

#include <algorithm>
#include <cmath>
#include <span>

#include "reference/nf4/table.hpp"

namespace assay::suites::conformance {
namespace {

std::uint8_t nearest_code(float x) {
  const std::span codes(reference::nf4::kNf4Code);
  const auto closer = [x](float a, float b) { return std::abs(a - x) < std::abs(b - x); };
  return static_cast<std::uint8_t>(std::ranges::min_element(codes, closer) - codes.begin());
}

}  // namespace

void plain_quantize(const kernels::nf4::QuantizeArgs& args, const QuantizeFault& fault) {
  const auto* const in = static_cast<const float*>(args.in);
  const std::int64_t bytes = (args.num_weights + 1) / 2;
  for (std::int64_t begin = 0; begin < args.num_weights; begin += args.block_size) {
    const std::int64_t end = std::min<std::int64_t>(begin + args.block_size, args.num_weights);
    const std::int64_t whole = fault.reads_past_end ? begin + args.block_size : end;
    float absmax = 0.0f;
    for (std::int64_t i = begin; i < whole && i - begin < fault.weights_seen; ++i)
      absmax = std::max(absmax, std::abs(in[i]));
    args.absmax[begin / args.block_size] = absmax;
    for (std::int64_t i = begin; i < end; ++i) {
      const float x = absmax > 0.0f ? in[i] / absmax : 0.0f;
      if (fault.eight_bits) {
        if (i < bytes)
          args.packed[i] = static_cast<std::uint8_t>(std::lround((x + 1.0f) * 127.5f));
        continue;
      }
      const std::uint8_t code = nearest_code(x);
      std::uint8_t& byte = args.packed[i / 2];
      byte = i % 2 == 0 ? static_cast<std::uint8_t>(code << 4) : static_cast<std::uint8_t>(byte | code);
    }
  }
}

}  // namespace assay::suites::conformance
