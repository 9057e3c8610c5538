// SPDX-License-Identifier: Apache-2.0
// Which kernel a softmax pass gets and in what shape: pure functions of sizes, tested without a GPU.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "kernels/backprop/softmax_pass.hpp"

namespace assay::kernels::backprop {

enum class SoftmaxVariant : std::uint8_t {
  kTwoSweep,  ///< one block a row; read for the statistics, read again (from L2, if it holds the rows in
              ///< flight) and written
  kResident,  ///< the row waits in shared memory between the two, split over the blocks of a cluster (sm_90+)
};

struct SoftmaxPassConfig {
  SoftmaxVariant variant = SoftmaxVariant::kTwoSweep;
  int threads = 1024;  ///< of a block: a multiple of 32, at most max_threads(variant)
  int cluster = 1;  ///< blocks that share a row: 1, 2, 4 or 8; above 1 only kResident on a GPU with clusters

  bool operator==(const SoftmaxPassConfig&) const = default;
};

/// Of the device, and of the code built for it.
struct SoftmaxPassLimits {
  std::int64_t shared_bytes_per_block = 48 << 10;           ///< with opt-in
  std::int64_t shared_bytes_per_multiprocessor = 64 << 10;  ///< for all blocks together
  bool clusters = false;
};

struct SoftmaxPassShape {
  std::int64_t vocab = 0;
  int element_bytes = 2;
  bool writes_gradient = true;
  bool softcap = false;
};

/// 1024 and 512: what the kernels' launch bounds allow.
int max_threads(SoftmaxVariant variant);

/// Dynamic shared memory of a block: the slots of its reductions, and its part of the row where that is
/// resident.
std::int64_t shared_bytes(const SoftmaxPassConfig& config, const SoftmaxPassShape& shape);

/// Resident where at least two blocks of the smallest cluster fit on a multiprocessor, so that one loads
/// while another stores; two sweeps elsewhere, where nothing is written back, and under a soft-cap
/// (docs/backprop_fast_path.md: measured).
SoftmaxPassConfig choose_softmax_pass_config(const SoftmaxPassShape& shape, const SoftmaxPassLimits& limits);

/// Throws std::invalid_argument for a configuration that no kernel was built for or that does not fit.
void validate(const SoftmaxPassConfig& config, const SoftmaxPassShape& shape,
              const SoftmaxPassLimits& limits);

/// cross_entropy_pass() with a chosen kernel, for measuring one against the other.
void cross_entropy_pass(const CrossEntropyPass& pass, const SoftmaxPassConfig& config, cudaStream_t stream);

/// Of the current device.
SoftmaxPassLimits softmax_pass_limits();

}  // namespace assay::kernels::backprop
