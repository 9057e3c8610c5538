// SPDX-License-Identifier: Apache-2.0
// Whether a list is made as program.hpp says, so that whoever walks it may count on its operands.
#pragma once

#include "kernels/compile/program.hpp"

namespace assay::kernels::compile {

/// Throws std::logic_error naming an operation with another number of inputs or results.
void check_operands(const Program& program);

}  // namespace assay::kernels::compile
