// SPDX-License-Identifier: Apache-2.0
// One walk over a step's list: every operation becomes calls of kernels.
#pragma once

#include "kernels/compile/device/step_kernels.hpp"
#include "kernels/compile/device/step_plan.hpp"

namespace assay::kernels::compile {

/// What to leave out. Without AdamW a walk changes nothing that the next one reads: warm-up.
enum class WalkPart : std::uint8_t { kWhole, kWithoutAdamW };

/// Told before and after the calls of each operation of the list, by its index. The block mask counts as the
/// first attention's, an optimizer's pass as the first operation's of its kind.
class WalkObserver {
 public:
  virtual ~WalkObserver() = default;
  virtual void begin(std::size_t op) = 0;
  virtual void end(std::size_t op) = 0;
};

/// Calls `kernels` in the list's order; kSquareSum and kAdamW once for all adapters. Rows that attention does
/// not write (behind the last sequence) are cleared, so that padding stays zero on its way through the
/// products. Backward is that of the losses' sum; before the square sum the adapters' gradients become those
/// of the mean (head_loss.hpp). Throws what the kernels throw, std::invalid_argument naming a buffer without
/// memory.
void walk(const StepPlan& plan, StepKernels& kernels, WalkPart part, WalkObserver* observer = nullptr);

}  // namespace assay::kernels::compile
