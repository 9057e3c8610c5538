// SPDX-License-Identifier: Apache-2.0
// One linear layer as QLoRA uses it: a 16-bit, f32 or 4-bit base, perhaps a bias, perhaps an adapter beside
// it.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <string>

namespace assay::reference::llama {

/// bitsandbytes' 4-bit weight of rows × columns, as its checkpoints store it.
struct FourBitWeight {
  at::Tensor packed;  ///< uint8 [ceil(rows · columns / 2)], high nibble first
  at::Tensor absmax;  ///< uint8 [blocks] nested, f32 [blocks] single level
  at::Tensor nested_absmax, nested_code,
      nested_offset;  ///< f32 [ceil(blocks / 256)], [256], scalar; or undefined
  std::int64_t block_size = 64, nested_block_size = 256;
  std::string quant_type = "nf4";  ///< or "fp4"
  std::int64_t rows = 0, columns = 0;
  at::ScalarType stored_type = at::kBFloat16;  ///< of the weight before it was quantized
  at::ScalarType compute_type = at::kFloat;    ///< of the product (bnb_4bit_compute_dtype)
};

/// The weight [rows, columns] in `type`: nested_code[absmax] · nested_absmax + nested_offset, then code ·
/// absmax, each step rounded to f32, the result to `type`.
at::Tensor dequantize(const FourBitWeight& weight, at::ScalarType type);

/// scale · (x·aᵀ)·bᵀ beside a base layer, computed in the adapter's type.
struct Lora {
  at::Tensor a;  ///< [rank, columns]
  at::Tensor b;  ///< [rows, rank]
  double scale = 1.0;
};

struct Linear {
  at::Tensor weight;                      ///< [rows, columns]; undefined where four_bit is set
  std::optional<FourBitWeight> four_bit;  ///< dequantized in forward and again in backward, never kept
  at::Tensor bias;                        ///< [rows] or undefined
  std::optional<Lora> lora;

  std::int64_t rows() const { return four_bit ? four_bit->rows : weight.size(0); }
  std::int64_t columns() const { return four_bit ? four_bit->columns : weight.size(1); }
  c10::Device device() const { return four_bit ? four_bit->packed.device() : weight.device(); }

  /// [..., columns] → [..., rows], the type of x.
  at::Tensor operator()(const at::Tensor& x) const;
};

}  // namespace assay::reference::llama
