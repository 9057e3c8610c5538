// SPDX-License-Identifier: Apache-2.0
// Steps that must not be taken in 16 bits: angles of rope, squares of RMSNorm.
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <random>

#include "kernels/llama/rms_norm.hpp"
#include "kernels/llama/rope.hpp"
#include "suites/conformance/defects.hpp"
#include "suites/conformance/paths.hpp"
#include "suites/conformance/text.hpp"

namespace assay::suites::conformance {
namespace {

namespace ours = kernels::llama;

float rounded_to_bf16(double value) {
  return __bfloat162float(__float2bfloat16_rn(static_cast<float>(value)));
}

// ---- rope

constexpr int kHead = 64, kTokens = 5;

using Rotate = std::function<void(const ours::Rope&)>;

void rotate(const ours::Rope& args) {
  ours::rope_cpu(args, 1);
}
/// The model was cast to bf16, and with it frequencies and positions.
void rotate_by_rounded_angles(const ours::Rope& args) {
  std::vector<float> frequency(kHead / 2);
  std::transform(args.inverse_frequency, args.inverse_frequency + kHead / 2, frequency.begin(),
                 rounded_to_bf16);
  std::vector<std::int64_t> positions(kTokens);
  const auto* const given = static_cast<const std::int64_t*>(args.positions);
  std::transform(given, given + kTokens, positions.begin(),
                 [](std::int64_t p) { return std::llround(rounded_to_bf16(static_cast<double>(p))); });
  ours::Rope cast = args;
  cast.inverse_frequency = frequency.data(), cast.positions = positions.data();
  rotate(cast);
}

/// Rotated (1, 0) pairs are the angles' cosines and sines.
void angles_are_not_rounded(const Rotate& rotate_them) {
  std::vector<float> frequency(kHead / 2), x(kTokens * kHead, 0.0f);
  for (int i = 0; i < kHead / 2; ++i) frequency[i] = static_cast<float>(std::pow(5e5, -2.0 * i / kHead));
  for (int i = 0; i < kTokens * kHead; ++i) x[i] = i % kHead < kHead / 2 ? 1.0f : 0.0f;
  const std::int64_t positions[kTokens] = {1, 257, 4095, 8191, 100001};
  ours::Rope args;
  args.type = ours::ElementType::kFloat32;
  args.length = kTokens, args.head_dim = kHead;
  args.q.in = x.data(), args.q.out = x.data(), args.q.heads = 1;
  args.q.in_strides = args.q.out_strides = ours::token_major(kTokens, 1, kHead);
  args.inverse_frequency = frequency.data(), args.positions = positions;
  answer([&] { rotate_them(args); });
  for (int t = 0; t < kTokens; ++t) {
    for (int i = 0; i < kHead / 2; ++i) {
      const double angle = static_cast<double>(positions[t]) * frequency[i];
      const double cosine = x[t * kHead + i], sine = x[t * kHead + kHead / 2 + i];
      demand(std::hypot(cosine - std::cos(angle), sine - std::sin(angle)) <= 1e-6,
             text("cos and sin of ", angle, ": ", std::cos(angle), " ", std::sin(angle)),
             text(cosine, " ", sine));
    }
  }
}

// ---- RMSNorm

constexpr int kHidden = 512;

using Normalize = std::function<void(const ours::RmsNormForward&)>;

void normalize(const ours::RmsNormForward& args) {
  ours::rms_norm_cpu(args, 1);
}
float rounded_to_f16(float value) {
  return __half2float(__float2half_rn(value));
}
/// `round` is what squares and their sum are kept as.
void normalize_plainly(const ours::RmsNormForward& args, float (*round)(float)) {
  const auto* const x = static_cast<const __half*>(args.x.data);
  const auto* const weight = static_cast<const __half*>(args.weight);
  float sum = 0.0f;
  for (int i = 0; i < kHidden; ++i) {
    const float value = __half2float(x[i]);
    sum = round(sum + round(value * value));
  }
  const float rstd = 1.0f / std::sqrt(sum / kHidden + args.eps);
  for (int i = 0; i < kHidden; ++i)
    static_cast<__half*>(args.y.data)[i] =
        __float2half_rn(__half2float(weight[i]) * (__half2float(x[i]) * rstd));
}

/// The largest number of f16 is 65504.
void normalize_in_f16(const ours::RmsNormForward& args) {
  normalize_plainly(args, rounded_to_f16);
}
void normalize_in_f32(const ours::RmsNormForward& args) {
  normalize_plainly(args, [](float value) { return value; });
}

void large_rows_are_normalized(const Normalize& norm) {
  std::mt19937 engine(6);
  std::normal_distribution<float> normal(0.0f, 400.0f);
  std::vector<__half> x(kHidden), weight(kHidden, __float2half_rn(1.0f)), y(kHidden);
  double squares = 0.0;
  for (__half& value : x) {
    value = __float2half_rn(normal(engine));
    squares += std::pow(double{__half2float(value)}, 2);
  }
  ours::RmsNormForward args;
  args.type = ours::ElementType::kFloat16, args.rows = 1, args.hidden = kHidden;
  args.x.data = x.data(), args.weight = weight.data(), args.y.data = y.data();
  answer([&] { norm(args); });
  const double rstd = 1.0 / std::sqrt(squares / kHidden + args.eps);
  double error = 0.0, size = 0.0;
  for (int i = 0; i < kHidden; ++i) {
    const double truth = __half2float(x[i]) * rstd;
    error += std::pow(__half2float(y[i]) - truth, 2), size += truth * truth;
  }
  demand_error("rows of 400 in f16, normalized", std::sqrt(error / size), 5e-4);  // 2^-11 is one rounding
}

}  // namespace

std::vector<Defect> pointwise_defects() {
  return {defect({"huggingface/transformers", 25681,
                  "rope's frequencies and positions are cast to 16 bits with the model", kPointwiseCpu},
                 rotate, rotate_by_rounded_angles, angles_are_not_rounded),
          defect({"pytorch/pytorch", 133085, "RMSNorm squares in f16 and overflows", kPointwiseCpu},
                 normalize, normalize_in_f16, large_rows_are_normalized, normalize_in_f32)};
}

}  // namespace assay::suites::conformance
