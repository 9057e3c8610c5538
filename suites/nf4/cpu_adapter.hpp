// SPDX-License-Identifier: Apache-2.0
// What every CPU implementation of nf4/dequantize does with its output, and the kernels' types as the
// reference's.
#pragma once

#include <functional>

#include "harness/core/challenge.hpp"
#include "reference/nf4/dequantize.hpp"
#include "suites/nf4/suite.hpp"

namespace assay::suites::nf4 {

/// Writes the weights of its case to an array of the case's output.
using CpuCall = std::function<void(void* out)>;

/// kInto writes the given output, kAllocating takes the output from the heap in the call, as a user's call
/// does.
harness::Invocation prepare_cpu(harness::TensorSet& outputs, harness::CallStyle style, CpuCall call);

/// The same weights and types in the reference's words.
reference::nf4::QuantizedWeights as_reference(const kernels::nf4::PackedWeights& weights);
reference::nf4::Scalar as_reference(kernels::nf4::ScalarType type);
reference::nf4::Codebook as_reference(kernels::nf4::Codebook codebook);

}  // namespace assay::suites::nf4
