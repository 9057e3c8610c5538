// SPDX-License-Identifier: Apache-2.0
// Configuration of the dequantize kernel; the numbers' origin stands beside them.
#include "kernels/nf4/dequantize_config.hpp"

namespace assay::kernels::nf4 {

DequantizeConfig choose_dequantize_config(std::int64_t num_weights, ScalarType out_type, bool aligned,
                                          int multiprocessors) {
  DequantizeConfig config;
  config.vectorized = aligned;
  if (!aligned) {
    config.vectors_per_thread = 1;
    const std::int64_t pairs = (num_weights + 1) / 2;
    config.blocks = (pairs + config.threads - 1) / config.threads;
    return config;
  }
  const std::int64_t vectors =
      (num_weights + weights_per_vector(out_type) - 1) / weights_per_vector(out_type);
  (void)multiprocessors;
  const std::int64_t tile = std::int64_t{config.threads} * config.vectors_per_thread;
  config.blocks = (vectors + tile - 1) / tile;
  return config;
}

}  // namespace assay::kernels::nf4
