// SPDX-License-Identifier: Apache-2.0
// What an operation multiplies and moves, from the list alone: a measured time beside it says how far from
// the machine's rates it is.
#pragma once

#include <string>

#include "kernels/compile/program.hpp"

namespace assay::kernels::compile {

struct OpWork {
  double flops = 0.0;  ///< of products; attention's depend on lengths and are not counted
  double bytes = 0.0;  ///< every operand once, a result that is added to twice; logits four times
};

/// `compute_bytes`: of an element of the compute type. Packed weights: NF4 with nested statistics, 64 and 256
/// a block.
OpWork work_of(const Program& program, const Op& op, std::size_t compute_bytes);

/// Whether a product reads or makes an adapter, or what lies between its two: one side as narrow as the rank,
/// so that bytes bind it and not FLOP.
bool is_adapter_product(const Program& program, const Op& op);

/// "matmul", "rms_norm_backward", …; throws std::logic_error for no operation.
const char* name_of(OpKind kind);

/// "4096×4096·4096×14336+": sizes of op(a)·op(b), "+" where it is added to what is there.
std::string shape_of(const Program& program, const Op& op);

}  // namespace assay::kernels::compile
