// SPDX-License-Identifier: Apache-2.0
// 16- and 32-bit matrices of a checkpoint: which of its tensors are weights of linear layers, and their
// quantization on load.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "harness/io/stored_tensor.hpp"
#include "suites/nf4/host_weights.hpp"

namespace assay::suites::nf4 {

struct QuantizeOnLoad {
  kernels::nf4::Codebook codebook = kernels::nf4::Codebook::kNf4;
  std::int32_t block_size = 64;
  bool nested = true;
  int num_threads = 0;  ///< 0: one per core
};

/// Why the tensor is not judged, in a few words that many tensors share ("1-D", "dtype I64", "rotary table");
/// nullopt when it is. Judged is every matrix of F16, BF16 or F32 that its name does not tell from a weight;
/// embeddings are, nothing in them is special to a decoder.
std::optional<std::string> reason_not_judged(std::string_view name, const harness::StoredTensor& tensor);

/// The output type for a matrix that reason_not_judged lets through.
kernels::nf4::ScalarType scalar_type_of(const harness::StoredTensor& tensor);

/// Quantizes as bitsandbytes does on the CPU, its offset apart (a mean whose last bit depends on the order of
/// summation). Throws UsageError for a value that is not finite.
HostWeights quantize_dense(std::string_view name, const harness::StoredTensor& tensor,
                           const QuantizeOnLoad& how);

}  // namespace assay::suites::nf4
