// SPDX-License-Identifier: Apache-2.0
// bitsandbytes-4bit weights as they lie in a safetensors file. For a weight W the file holds, besides W
// itself (packed nibbles, stored as U8 or reinterpreted as another dtype), W.absmax, W.quant_map, for nested
// statistics W.nested_absmax and W.nested_quant_map, and W.quant_state.bitsandbytes__nf4 (or __fp4): JSON
// text with shape, block sizes, dtype and the offset. Source: bitsandbytes functional.py QuantState.as_dict
// and from_dict, 0.50.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "harness/io/stored_tensor.hpp"
#include "suites/nf4/host_weights.hpp"

namespace assay::suites::nf4 {

/// One weight whose parts have been found and agree with each other; views into the file.
struct Stored4bit {
  std::string name;
  std::int64_t rows = 0, cols = 0;  ///< cols is the last extent of the shape, rows the product of the others
  kernels::nf4::ScalarType dtype = kernels::nf4::ScalarType::kBfloat16;
  kernels::nf4::Codebook codebook = kernels::nf4::Codebook::kNf4;
  std::int32_t block_size = 0;
  harness::StoredTensor packed, absmax;
  bool nested = false;
  std::int32_t nested_block_size = 256;
  harness::StoredTensor nested_absmax, nested_code;  ///< nested only
  float nested_offset = 0.0F;
};

/// Every 4-bit weight of `tensors`, checked: companions there, lengths and dtypes right, codebook bit-equal
/// to bitsandbytes', block sizes supported, statistics finite. Names of all tensors that belong to one go to
/// `claimed`. Throws UsageError naming the weight.
std::vector<Stored4bit> find_4bit(const harness::TensorTable& tensors, std::set<std::string_view>& claimed);

HostWeights load_4bit(const Stored4bit& stored);

}  // namespace assay::suites::nf4
