// SPDX-License-Identifier: Apache-2.0
// What stands between the products of a Llama layer, and its gradients, in f64 and one row at a time. Written
// from the papers: RMSNorm (Zhang, Sennrich 2019), rotary embedding (Su et al. 2021, paired as Hugging Face
// does), SwiGLU (Shazeer 2020).
#pragma once

#include <span>

namespace assay::reference::compile {

/// 1 / √(mean(h²) + eps)
double inverse_rms(std::span<const double> h, double eps);

/// y = w · h / √(mean(h²) + eps)
void rms_norm(std::span<const double> h, std::span<const double> w, double eps, std::span<double> y);

/// dh = ∂(dy · y)/∂h. Adds ∂(dy · y)/∂w to dw.
void rms_norm_backward(std::span<const double> h, std::span<const double> w, double eps,
                       std::span<const double> dy, std::span<double> dh, std::span<double> dw);

/// A head x of d elements: for i below d/2, elements i and i + d/2 are turned by the angle position ·
/// frequency[i].
void rotate(std::span<const double> x, double position, std::span<const double> frequency,
            std::span<double> out);
/// dx = ∂(dout · out)/∂x
void rotate_backward(std::span<const double> dout, double position, std::span<const double> frequency,
                     std::span<double> dx);

/// y = silu(gate) · up, silu(g) = g / (1 + e^−g)
double swiglu(double gate, double up);

struct SwigluGradient {
  double gate, up;
};
/// ∂(dy · y)/∂gate, ∂(dy · y)/∂up
SwigluGradient swiglu_backward(double gate, double up, double dy);

}  // namespace assay::reference::compile
