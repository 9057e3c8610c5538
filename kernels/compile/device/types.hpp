// SPDX-License-Identifier: Apache-2.0
// The compute type of a step in the words of each kernel it calls. Throw std::invalid_argument for a type
// that the kernel does not have.
#pragma once

#include "kernels/attention/config.hpp"
#include "kernels/backprop/softmax_pass.hpp"
#include "kernels/common/matmul.hpp"
#include "kernels/compile/adamw.hpp"
#include "kernels/llama/element_type.hpp"
#include "kernels/nf4/format.hpp"

namespace assay::kernels::compile {

using ComputeType = llama::ElementType;

MatmulType matmul_type(ComputeType type);
nf4::ScalarType scalar_type(ComputeType type);
backprop::LogitType logit_type(ComputeType type);
CopyType copy_type(ComputeType type);
/// f16 and bf16 alone.
attention::ElementType attention_type(ComputeType type);

}  // namespace assay::kernels::compile
