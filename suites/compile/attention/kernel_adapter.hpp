// SPDX-License-Identifier: Apache-2.0
// A case's tensors as kernels/attention takes them.
#pragma once

#include <memory>

#include "kernels/attention/attention.hpp"
#include "suites/compile/attention/suite.hpp"

namespace assay::suites::compile {

namespace flex = kernels::attention;

/// The case's mods out of kernels/attention/example_mods. f16 keeps more of a tanh than the hardware's has.
flex::Mods flex_mods_of(const AttentionCase& c);
flex::HeadType head_type_of(const AttentionCase& c);
/// Dense or packed rows, and the case's buffer in data[0]; `inputs` on the GPU.
flex::Sequences flex_sequences_of(const AttentionCase& c, const harness::TensorSet& inputs);

/// When the block mask is made: once, as for the layers of a training step, or in every call.
enum class MaskMade { kOnce, kInEveryCall };

/// kInto writes into the given outputs and keeps its workspace between calls, kAllocating takes both new each
/// time. The mask's memory is kept in both. Compiles and, with kOnce, makes the mask before it returns.
harness::Invocation prepare_flex(const flex::FlexAttention& attention, const AttentionCase& c,
                                 const harness::TensorSet& inputs, const harness::TensorSet& outputs,
                                 harness::CallStyle style, MaskMade made);

}  // namespace assay::suites::compile
