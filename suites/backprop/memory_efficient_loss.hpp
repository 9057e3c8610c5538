// SPDX-License-Identifier: Apache-2.0
// From a case to the chunked loss of kernels/backprop/autograd.
#pragma once

#include "kernels/backprop/autograd/losses.hpp"
#include "suites/backprop/case_tensors.hpp"

namespace assay::suites::backprop {

kernels::backprop::CrossEntropyOptions cross_entropy_options(const BackpropCase& c,
                                                             const CaseTensors& tensors);
kernels::backprop::LinearHead linear_head(const CaseTensors& tensors);

/// Differentiable; the same for every choice of chunks but for the order in which sums are rounded.
at::Tensor memory_efficient_loss(const BackpropCase& c, const CaseTensors& tensors,
                                 const kernels::backprop::ChunkChoice& chunks);

/// Every file of the chunked path, and `more`.
std::vector<std::string> memory_efficient_sources(std::vector<std::string> more);

}  // namespace assay::suites::backprop
