// SPDX-License-Identifier: Apache-2.0
// A linear layer over a frozen 4-bit weight with an adapter beside it:
//   y = x·Wᵀ + bias + s·(x·Aᵀ)·Bᵀ,   W = nf4 decoded to x's type,
//   dx = dy·W + s·(dy·B)·A,   dbias = Σ_rows dy,   dA = s·(dy·B)ᵀ·x,   dB = s·dyᵀ·(x·Aᵀ).
// W lives for one product at a time: backward decodes it again. That is why torch.compile sees one operator
// each way and not a decode and a product, of which it would keep the decoded weight from forward to
// backward.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "kernels/torch/nf4_arguments.hpp"

namespace assay::kernels::torch {

using MaybeTensor = std::optional<at::Tensor>;

/// The weight [out_features, in_features] as it is stored.
struct Nf4Matrix {
  at::Tensor packed, absmax;
  std::int64_t block_size = 64;
  std::string quant_type = "nf4";
  MaybeTensor nested_absmax = {}, nested_code = {}, nested_offset = {};
  std::int64_t nested_block_size = 256;

  Nf4Weights arguments() const {
    return {packed,        absmax,      block_size,    quant_type,
            nested_absmax, nested_code, nested_offset, nested_block_size};
  }
  /// Decoded on the device it lies on, in the current stream. f64: decoded to f32, then widened.
  at::Tensor decoded(std::int64_t rows, std::int64_t columns, at::ScalarType type) const;
};

/// A is [rank, in_features], B [out_features, rank], both of x's type or both f32 (peft keeps them so beside
/// a 16-bit base); their products run in their own type.
struct Adapter {
  MaybeTensor bias = {}, lora_a = {}, lora_b = {};
  double scale = 1.0;

  bool has_lora() const { return lora_a.has_value(); }
};

/// What can be said without sizes, so also of fake tensors. Throws TypeError, ValueError.
void check_linear_types(const at::Tensor& x, const Nf4Matrix& weight, const Adapter& adapter);

/// x [..., in_features] → [..., out_features] of x's type.
at::Tensor linear(const at::Tensor& x, std::int64_t out_features, const Nf4Matrix& weight,
                  const Adapter& adapter);

/// Gradients of x, bias, A and B where `wanted`, undefined where not. `x` is read for A and B alone.
std::array<at::Tensor, 4> linear_backward(const at::Tensor& dy, const MaybeTensor& x,
                                          std::int64_t in_features, const Nf4Matrix& weight,
                                          const Adapter& adapter, const std::array<bool, 4>& wanted);

}  // namespace assay::kernels::torch
