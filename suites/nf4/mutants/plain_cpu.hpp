// SPDX-License-Identifier: Apache-2.0
// The right steps of nf4/dequantize as plain loops on the CPU. A mutant derives from PlainSteps, replaces one
// step and is right in all others. Own table: sharing one with what is judged would hide a wrong one.
#pragma once

#include "harness/verify/ulp.hpp"
#include "suites/nf4/mutants/mutant.hpp"

namespace assay::suites::nf4::mutants {

struct PlainSteps {
  static constexpr float kCode[16] = {-1.0f,
                                      -0.6961928009986877f,
                                      -0.5250730514526367f,
                                      -0.39491748809814453f,
                                      -0.28444138169288635f,
                                      -0.18477343022823334f,
                                      -0.09105003625154495f,
                                      0.0f,
                                      0.07958029955625534f,
                                      0.16093020141124725f,
                                      0.24611230194568634f,
                                      0.33791524171829224f,
                                      0.44070982933044434f,
                                      0.5626170039176941f,
                                      0.7229568362236023f,
                                      1.0f};

  static float code(int nibble) { return kCode[nibble]; }
  static int nibble(const PackedWeights& w, std::int64_t i) {
    return i % 2 == 0 ? w.packed[i / 2] >> 4 : w.packed[i / 2] & 15;
  }
  static float absmax(const PackedWeights& w, std::int64_t block) {
    const float scaled = w.nested_code[w.absmax_codes[block]] * w.nested_absmax[block / w.nested_block_size];
    return scaled + *w.nested_offset;
  }
};

/// Stores one weight, rounded to nearest even.
inline void store(const harness::TensorView& out, std::int64_t i, float value) {
  switch (out.dtype) {
    case harness::Dtype::kFloat32:
      out.as<float>()[i] = value;
      break;
    case harness::Dtype::kFloat16:
      out.as<std::uint16_t>()[i] = harness::encode<harness::Float16Format>(value);
      break;
    default:
      out.as<std::uint16_t>()[i] = harness::encode<harness::Bfloat16Format>(value);
  }
}

/// Weights [begin, end) by the given steps.
template <class Steps>
void dequantize_plain(const PackedWeights& w, const harness::TensorView& out, std::int64_t begin,
                      std::int64_t end) {
  for (std::int64_t i = begin; i < end; ++i) {
    store(out, i, Steps::code(Steps::nibble(w, i)) * Steps::absmax(w, i / w.block_size));
  }
}

/// A mutant that does all weights by its own steps.
template <class Steps>
harness::Implementation mutant_by_steps(std::string name, const char* check, std::string about,
                                        Needs needs = {}) {
  return mutant(
      std::move(name), harness::DeviceKind::kCpu, check, std::move(about),
      []() -> Body {
        return [](const PackedWeights& w, const harness::TensorView& out, harness::Stream) {
          dequantize_plain<Steps>(w, out, 0, w.num_weights);
        };
      },
      needs);
}

}  // namespace assay::suites::nf4::mutants
