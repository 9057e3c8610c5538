// SPDX-License-Identifier: Apache-2.0
// Where everything of a step lies in its one allocation: arena with scratch, adapters in slabs, inputs,
// results. Pure functions of the list.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/compile/program.hpp"

namespace assay::kernels::compile {

/// Bytes that kernels need beside the list's buffers; they share the arena.
struct ScratchBytes {
  std::size_t step = 0;            ///< alive throughout
  std::vector<std::size_t> of_op;  ///< alive during that operation alone, one entry an operation
};

/// The adapters one behind the other in the order of the list's kAdamW, each beginning at a multiple of 128
/// elements; what lies between stays zero. Offsets of slabs in the allocation, bytes.
struct AdapterSlabs {
  std::int64_t count = 0;  ///< elements of each slab
  std::size_t parameter = 0, gradient = 0, mean = 0, square = 0, copy = 0;
};

struct StepLayout {
  static constexpr std::size_t kElsewhere = ~std::size_t{0};

  std::vector<std::size_t> offsets;     ///< of each buffer; kElsewhere: the caller's (frozen)
  std::size_t step_scratch = 0;         ///< offset
  std::vector<std::size_t> op_scratch;  ///< offsets, one an operation
  AdapterSlabs slabs;
  std::size_t arena_bytes = 0;              ///< from offset 0 on
  std::size_t state = 0;                    ///< offset of slabs and results, which must start as zeros
  std::size_t inputs = 0, input_bytes = 0;  ///< offset and size of all inputs, side by side
  std::size_t bytes = 0;                    ///< of everything
};

/// All offsets are multiples of 256. Throws std::logic_error for a list that this runner cannot walk: an
/// operation with another number of operands than program.hpp says; kSquareSum or kAdamW that do not follow
/// each other, over the same gradients in the same order, with one square sum and one set of settings; an
/// adapter, copy, gradient or moment that no kAdamW names.
StepLayout plan_layout(const Program& program, std::size_t compute_bytes, const ScratchBytes& scratch);

}  // namespace assay::kernels::compile
