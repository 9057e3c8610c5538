// SPDX-License-Identifier: Apache-2.0
// The optimizer's operations of a list: one for each adapter, run as one pass over slabs.
#pragma once

#include <cstddef>
#include <vector>

#include "kernels/compile/program.hpp"

namespace assay::kernels::compile {

struct OptimizerRun {
  std::size_t square_sums = 0, adamws = 0;  ///< index of the first operation of each
  std::size_t count = 0;                    ///< operations of each, following each other
  int square_sum = -1, settings = -1;       ///< buffers that all of them share
};

/// Throws std::logic_error saying what was expected of the list and what was found.
OptimizerRun optimizer_run(const Program& program);

/// Of the elements of a buffer of `program`.
inline std::int64_t element_count(const Buffer& buffer) {
  return buffer.rows * buffer.columns;
}

}  // namespace assay::kernels::compile
