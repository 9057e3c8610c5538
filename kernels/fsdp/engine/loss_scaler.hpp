// SPDX-License-Identifier: Apache-2.0
// The factor that keeps f16 gradients above what f16 loses, found as torch.amp.GradScaler finds it.
#pragma once

#include <cstdint>

namespace assay::kernels::fsdp {

/// Updated with what all ranks found together, so that it is the same on all: one that skipped alone would
/// part from the others.
struct LossScaler {
  double scale = 65536.0;
  double growth = 2.0, backoff = 0.5;
  std::int64_t growth_interval = 2000;  ///< finite steps in a row behind which it grows
  std::int64_t finite_steps = 0;        ///< in a row, since it last changed

  void update(bool finite) {
    finite_steps = finite ? finite_steps + 1 : 0;
    if (!finite)
      scale *= backoff;
    else if (finite_steps == growth_interval)
      scale *= growth, finite_steps = 0;
  }
};

}  // namespace assay::kernels::fsdp
