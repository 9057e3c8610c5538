// SPDX-License-Identifier: Apache-2.0
#include "tests/compile/host_kernels.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <stdexcept>

#include "kernels/attention/check.hpp"
#include "kernels/attention/example_mods.hpp"
#include "kernels/compile/device/rounding.hpp"
#include "kernels/nf4/dequantize_cpu.hpp"
#include "tests/compile/host_attention.hpp"

namespace assay::testing {

using namespace kernels::compile;  // NOLINT: whose kernels these are
namespace llama = kernels::llama;
using kernels::MatmulArgs;
using kernels::MatmulType;

namespace {

/// Element i of an array of a product's type.
float read(const void* data, std::int64_t i, MatmulType type, ComputeType compute) {
  return type == MatmulType::kFloat32 ? static_cast<const float*>(data)[i]
                                      : widened(static_cast<const std::uint16_t*>(data)[i], compute);
}
void write(void* data, std::int64_t i, MatmulType type, ComputeType compute, float value) {
  if (type == MatmulType::kFloat32)
    static_cast<float*>(data)[i] = value;
  else
    static_cast<std::uint16_t*>(data)[i] = rounded(value, compute);
}

/// op(x) as a packed row-major matrix of floats; `by_columns`: its transpose, for the inner loop's sake.
std::vector<float> unpacked(const void* data, std::int64_t rows, std::int64_t columns, std::int64_t stride,
                            bool transposed, MatmulType type, ComputeType compute) {
  std::vector<float> out(static_cast<std::size_t>(rows * columns));
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t c = 0; c < columns; ++c)
      out[static_cast<std::size_t>(r * columns + c)] =
          read(data, transposed ? c * stride + r : r * stride + c, type, compute);
  return out;
}

}  // namespace

void HostKernels::matmul(const MatmulArgs& g) {
  const std::int64_t lda = g.lda != 0      ? g.lda
                           : g.transpose_a ? g.m
                                           : g.k,
                     ldb = g.ldb != 0      ? g.ldb
                           : g.transpose_b ? g.k
                                           : g.n,
                     ldd = g.ldd != 0 ? g.ldd : g.n;
  if (g.workspace == nullptr || g.choice != kernels::MatmulChoice::kTimed)
    throw std::logic_error("expected every product to have a workspace and to be searched");
  std::memset(g.workspace, 0xff,
              std::min<std::size_t>(g.workspace_bytes, 1 << 20));  // nobody else may live there
  const std::vector<float> a = unpacked(g.a, g.m, g.k, lda, g.transpose_a, g.in_type, type_),
                           b = unpacked(g.b, g.n, g.k, ldb, !g.transpose_b, g.in_type, type_);
  for (std::int64_t i = 0; i < g.m; ++i) {
    for (std::int64_t j = 0; j < g.n; ++j) {
      const float *x = a.data() + i * g.k, *y = b.data() + j * g.k;
      float lanes[8] = {};
      for (std::int64_t k = 0; k < g.k; ++k) lanes[k % 8] += x[k] * y[k];
      float sum = 0;
      for (const float lane : lanes) sum += lane;
      const std::int64_t at = i * ldd + j;
      const float before = g.beta == 0.0f ? 0.0f : g.beta * read(g.d, at, g.out_type, type_);
      write(g.d, at, g.out_type, type_, g.alpha * sum + before);
    }
  }
}

void HostKernels::dequantize(const kernels::nf4::DequantizeArgs& args) {
  kernels::nf4::dequantize_cpu(args.weights, args.out, args.out_type, 1);
}

void HostKernels::embed(const Embed& a) {
  const auto bytes = static_cast<std::size_t>(a.columns) * 2;
  for (std::int64_t t = 0; t < a.rows; ++t) {
    if (a.tokens[t] < 0 || a.tokens[t] >= a.vocab)
      throw std::logic_error("expected tokens below the vocabulary");
    std::memcpy(static_cast<std::uint16_t*>(a.out) + t * a.columns,
                static_cast<const std::uint16_t*>(a.embedding) + a.tokens[t] * a.columns, bytes);
  }
}

void HostKernels::rms_norm(const llama::RmsNormForward& args) {
  llama::rms_norm_cpu(args, 1);
}
void HostKernels::rms_norm_backward(const llama::RmsNormBackward& args) {
  llama::rms_norm_backward_cpu(args, 1);
}
void HostKernels::rope(const llama::Rope& args) {
  llama::rope_cpu(args, 1);
}
void HostKernels::swiglu(const llama::SwigluForward& args) {
  llama::swiglu_cpu(args, 1);
}
void HostKernels::swiglu_backward(const llama::SwigluBackward& args) {
  llama::swiglu_backward_cpu(args, 1);
}

void HostKernels::build_block_mask(const kernels::attention::Sequences& sequences,
                                   const kernels::attention::BlockMask& mask) {
  kernels::attention::check(kernels::attention::causal(), sequences, mask);
  masked_starts_.assign(sequences.q_starts, sequences.q_starts + sequences.sequences + 1);
  mask_ = mask.workspace;
  std::memset(mask.workspace, 0x5a, mask.bytes);  // nobody else may live there
}

void HostKernels::check_mask(const kernels::attention::Sequences& s,
                             const kernels::attention::BlockMask& mask) const {
  const auto* const bytes = static_cast<const unsigned char*>(mask.workspace);
  if (mask.workspace != mask_ || !std::equal(masked_starts_.begin(), masked_starts_.end(), s.q_starts) ||
      !std::all_of(bytes, bytes + mask.bytes, [](unsigned char byte) { return byte == 0x5a; }))
    throw std::logic_error("expected attention under the block mask of its own boundaries, as it was built");
}

void HostKernels::attention_forward(const kernels::attention::ForwardArgs& args) {
  kernels::attention::check(kernels::attention::causal(), args);
  check_mask(args.sequences, args.mask);
  host_attention(args, type_);
}
void HostKernels::attention_backward(const kernels::attention::BackwardArgs& args) {
  kernels::attention::check(kernels::attention::causal(), args);
  check_mask(args.sequences, args.mask);
  std::memset(args.workspace, 0xff, args.workspace_bytes);
  host_attention_backward(args, type_);
}

void HostKernels::clear_rows(const ClearRows& a) {
  for (const ClearRows::Matrix& m : a.matrices)
    if (m.data != nullptr)
      std::fill(static_cast<std::uint16_t*>(m.data) + *a.used * m.columns,
                static_cast<std::uint16_t*>(m.data) + a.rows * m.columns, std::uint16_t{0});
}

void HostKernels::find_loss_scale(const LossScale& a) {
  const auto ignored = std::count(a.labels, a.labels + a.rows, a.ignore_index);
  *a.scale = 1.0f / static_cast<float>(std::max<std::int64_t>(a.rows - ignored, 1));
}
void HostKernels::cross_entropy_pass(const kernels::backprop::CrossEntropyPass& pass) {
  kernels::backprop::cross_entropy_pass_cpu(pass, 1);
}
void HostKernels::scale(const Scale& a) {
  for (std::int64_t i = 0; i < a.count; ++i) a.values[i] *= *a.factor;
}
void HostKernels::mean_loss(const MeanLoss& a) {
  float sum = 0;
  for (std::int64_t i = 0; i < a.rows; ++i) sum += a.losses[i];
  *a.mean = sum * *a.scale;
}

void HostKernels::square_sum(const SquareSum& a) {
  double sum = 0;
  for (std::int64_t i = 0; i < a.count; ++i) sum += static_cast<double>(a.values[i]) * a.values[i];
  *a.sum = static_cast<float>(sum);
}

void HostKernels::begin_loss_scaling(const BeginLossScaling& a) {
  a.scaler->scale = std::ldexp(a.initial, static_cast<int>(a.scaler->exponent));
  *a.gradient_factor = *a.mean_scale / a.scaler->scale;
}
void HostKernels::end_loss_scaling(const EndLossScaling& a) {
  std::copy_n(a.settings, 4, a.settings_of_step);
  a.settings_of_step[1] = std::max(a.settings[1] - a.scaler->skipped, 1.0f);
  if (a.settings[3] == 0.0f)
    a.settings_of_step[3] = kAnyNorm;
  *a.scaler = after_step(*a.scaler, std::isfinite(*a.square_sum), a.growth_interval);
}

void HostKernels::adamw(const AdamWArgs& a) {
  const float rate = a.settings[0], step = a.settings[1], decay = a.settings[2], largest = a.settings[3];
  if (largest > 0 && !std::isfinite(*a.square_sum))
    return;
  const float clip = largest > 0 ? std::min(1.0f, largest / (std::sqrt(*a.square_sum) + 1e-6f)) : 1.0f;
  const float correction1 = 1 - std::pow(0.9f, step), correction2 = 1 - std::pow(0.999f, step);
  for (std::int64_t i = 0; i < a.count; ++i) {
    const float g = clip * a.gradient[i];
    a.mean[i] = 0.9f * a.mean[i] + 0.1f * g;
    a.square[i] = 0.999f * a.square[i] + 0.001f * g * g;
    a.parameter[i] = (1 - rate * decay) * a.parameter[i] -
                     rate * (a.mean[i] / correction1) / (std::sqrt(a.square[i] / correction2) + 1e-8f);
    static_cast<std::uint16_t*>(a.copy)[i] = rounded(a.parameter[i], type_);
  }
}

}  // namespace assay::testing
