// SPDX-License-Identifier: Apache-2.0
// The nf4 suite's own words: what a case of nf4/dequantize is, and how its tensors are named.
//
// Inputs of a nested case:  packed u8 [ceil(n/2)], absmax_codes u8 [blocks], nested_absmax f32
// [ceil(blocks/256)],
//                           nested_code f32 [256], nested_offset f32 [1]
// Inputs, single level:     packed u8 [ceil(n/2)], absmax f32 [blocks]
// Output:                   weight, [rows, cols] of the case's dtype
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "harness/core/challenge.hpp"
#include "kernels/nf4/format.hpp"

namespace assay::suites::nf4 {

inline constexpr const char* kDequantize = "nf4/dequantize";

struct HostWeights;  // host_weights.hpp
/// Real weights of a checkpoint, read (and quantized, where they are 16- or 32-bit) when a case first needs
/// them.
class RealWeights {
 public:
  explicit RealWeights(std::function<HostWeights()> load);
  ~RealWeights();
  const HostWeights& get() const;

 private:
  std::function<HostWeights()> load_;
  mutable std::once_flag once_;
  mutable std::unique_ptr<HostWeights> loaded_;
};

struct DequantizeCase {
  std::int64_t rows = 0, cols = 0;
  harness::Dtype dtype = harness::Dtype::kBfloat16;  ///< of the output
  std::int32_t block_size = 64;
  bool nested = true;
  bool fp4 = false;
  std::shared_ptr<const RealWeights> weights = nullptr;  ///< null: random

  std::int64_t num_weights() const { return rows * cols; }
  std::int64_t num_blocks() const { return (num_weights() + block_size - 1) / block_size; }
};

const DequantizeCase& parameters_of(const harness::Case& which);

/// The case's tensors as the kernels take them; pointers stay owned by `inputs`.
kernels::nf4::PackedWeights packed_weights(const DequantizeCase& which, const harness::TensorSet& inputs);
kernels::nf4::ScalarType scalar_type(harness::Dtype dtype);

}  // namespace assay::suites::nf4
