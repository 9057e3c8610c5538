// SPDX-License-Identifier: Apache-2.0
#include "reference/compile/pointwise.hpp"

#include <cmath>

namespace assay::reference::compile {

double inverse_rms(std::span<const double> h, double eps) {
  double squares = 0.0;
  for (const double x : h) squares += x * x;
  return 1.0 / std::sqrt(squares / static_cast<double>(h.size()) + eps);
}

void rms_norm(std::span<const double> h, std::span<const double> w, double eps, std::span<double> y) {
  const double r = inverse_rms(h, eps);
  for (std::size_t i = 0; i < h.size(); ++i) y[i] = w[i] * h[i] * r;
}

// y_i = w_i · h_i · r with r = (mean(h²) + eps)^(−1/2), so ∂r/∂h_k = −r³ · h_k / H.
void rms_norm_backward(std::span<const double> h, std::span<const double> w, double eps,
                       std::span<const double> dy, std::span<double> dh, std::span<double> dw) {
  const double r = inverse_rms(h, eps), size = static_cast<double>(h.size());
  double dr = 0.0;
  for (std::size_t i = 0; i < h.size(); ++i) dr += dy[i] * w[i] * h[i];
  for (std::size_t i = 0; i < h.size(); ++i) {
    dh[i] = dy[i] * w[i] * r - dr * r * r * r * h[i] / size;
    dw[i] += dy[i] * h[i] * r;
  }
}

void rotate(std::span<const double> x, double position, std::span<const double> frequency,
            std::span<double> out) {
  const std::size_t half = x.size() / 2;
  for (std::size_t i = 0; i < half; ++i) {
    const double angle = position * frequency[i], first = x[i], second = x[i + half];
    out[i] = first * std::cos(angle) - second * std::sin(angle);
    out[i + half] = first * std::sin(angle) + second * std::cos(angle);
  }
}

// The transposed matrix of every pair.
void rotate_backward(std::span<const double> dout, double position, std::span<const double> frequency,
                     std::span<double> dx) {
  const std::size_t half = dout.size() / 2;
  for (std::size_t i = 0; i < half; ++i) {
    const double angle = position * frequency[i], first = dout[i], second = dout[i + half];
    dx[i] = first * std::cos(angle) + second * std::sin(angle);
    dx[i + half] = second * std::cos(angle) - first * std::sin(angle);
  }
}

double swiglu(double gate, double up) {
  return gate / (1.0 + std::exp(-gate)) * up;
}

// silu'(g) = σ(g) + g · σ(g) · σ(−g)
SwigluGradient swiglu_backward(double gate, double up, double dy) {
  const double sigma = 1.0 / (1.0 + std::exp(-gate)), opposite = 1.0 / (1.0 + std::exp(gate));
  return {.gate = dy * up * (sigma + gate * sigma * opposite), .up = dy * gate * sigma};
}

}  // namespace assay::reference::compile
