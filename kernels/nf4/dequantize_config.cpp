// SPDX-License-Identifier: Apache-2.0
// Configuration of the dequantize kernel; the numbers' origin stands beside them.
#include "kernels/nf4/dequantize_config.hpp"

namespace assay::kernels::nf4 {
namespace {

// Microseconds in a graph of calls on rotated buffers, H100 80GB, bf16, 2026-11 (threads x vectors):
//   weights      256x4   512x2   256x2   512x1
//   4.2 M         4.40    4.22    4.46    5.06
//   16.8 M       14.86   15.47   15.40   16.14
//   58.7 M       51.25   51.37   51.42   54.03
//   234.9 M     202.19  201.20  201.39  211.62
constexpr std::int64_t kSmallBelow = 8
                                     << 20;  // everything fits one wave of blocks: more threads hide latency
constexpr std::int64_t kLargeFrom = 128 << 20;

}  // namespace

DequantizeConfig choose_dequantize_config(std::int64_t num_weights, ScalarType out_type, bool aligned) {
  DequantizeConfig config;
  config.vectorized = aligned;
  if (!aligned) {
    config.vectors_per_thread = 1;
    const std::int64_t pairs = (num_weights + 1) / 2;
    config.blocks = (pairs + config.threads - 1) / config.threads;
    return config;
  }
  if (num_weights < kSmallBelow || num_weights >= kLargeFrom) {
    config.threads = 512;
    config.vectors_per_thread = 2;
  }
  const std::int64_t vectors =
      (num_weights + weights_per_vector(out_type) - 1) / weights_per_vector(out_type);
  const std::int64_t tile = std::int64_t{config.threads} * config.vectors_per_thread;
  config.blocks = (vectors + tile - 1) / tile;
  return config;
}

}  // namespace assay::kernels::nf4
