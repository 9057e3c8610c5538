// SPDX-License-Identifier: Apache-2.0
// Causal attention over packed sequences as its formula says (kernels/attention/attention.hpp), in f32 on the
// host, from the arguments of the kernels. Rows behind the last sequence are neither read nor written.
#pragma once

#include "kernels/attention/attention.hpp"
#include "kernels/compile/device/types.hpp"

namespace assay::testing {

void host_attention(const kernels::attention::ForwardArgs& args, kernels::compile::ComputeType type);
/// d_q, d_k, d_v.
void host_attention_backward(const kernels::attention::BackwardArgs& args,
                             kernels::compile::ComputeType type);

}  // namespace assay::testing
