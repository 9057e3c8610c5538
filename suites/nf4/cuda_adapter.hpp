// SPDX-License-Identifier: Apache-2.0
// From tensors to the kernels' Args: what every CUDA implementation of nf4/dequantize does.
#pragma once

#include <functional>
#include <string>

#include "harness/core/challenge.hpp"
#include "kernels/nf4/dequantize.hpp"
#include "suites/nf4/suite.hpp"

namespace assay::suites::nf4 {

/// Enqueues one dequantization.
using DequantizeCall = std::function<void(const kernels::nf4::DequantizeArgs&, harness::Stream)>;

/// `prepare` of an implementation that needs no temporaries: kInto writes the given output, kAllocating takes
/// the output from the device allocator in the call, as a user's call does.
harness::Invocation prepare_cuda(const harness::Case& which, const harness::TensorSet& inputs,
                                 harness::TensorSet& outputs, harness::CallStyle style,
                                 const DequantizeCall& call);

/// A candidate that runs one of our CUDA variants.
harness::Implementation cuda_variant(std::string name, std::string about,
                                     kernels::nf4::DequantizeVariant variant,
                                     bool weights_are_constant = false);

}  // namespace assay::suites::nf4
