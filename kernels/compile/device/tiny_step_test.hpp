// SPDX-License-Identifier: Apache-2.0
// A list small enough to look at, for tests of what is decided without a device.
#pragma once

#include <algorithm>

#include "kernels/compile/step_program.hpp"

namespace assay::kernels::compile::testing {

inline StepOptions tiny_options() {
  StepOptions options;
  options.shape = {.layers = 2,
                   .hidden = 128,
                   .intermediate = 192,
                   .heads = 4,
                   .kv_heads = 2,
                   .head_dim = 64,
                   .vocab = 101,
                   .lora_rank = 8};
  options.tokens = 256, options.sequences = 3;
  return options;
}

inline Program tiny_program() {
  return step_program(tiny_options());
}

inline Op& first_op(Program& program, OpKind kind) {
  return *std::find_if(program.ops.begin(), program.ops.end(), [&](const Op& op) { return op.kind == kind; });
}

}  // namespace assay::kernels::compile::testing
