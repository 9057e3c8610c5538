// SPDX-License-Identifier: Apache-2.0
// A case's tensors as kernels/llama takes them, on either device.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "kernels/llama/rms_norm.hpp"
#include "kernels/llama/rope.hpp"
#include "kernels/llama/swiglu.hpp"
#include "suites/compile/pointwise/suite.hpp"

namespace assay::suites::compile {

using Pointers = std::map<std::string, void*, std::less<>>;

/// The functions of one device.
struct PointwiseKernels {
  std::function<void(const kernels::llama::RmsNormForward&, harness::Stream)> rms_norm;
  std::function<void(const kernels::llama::RmsNormBackward&, harness::Stream)> rms_norm_backward;
  std::function<void(const kernels::llama::Rope&, harness::Stream)> rope;
  std::function<void(const kernels::llama::SwigluForward&, harness::Stream)> swiglu;
  std::function<void(const kernels::llama::SwigluBackward&, harness::Stream)> swiglu_backward;
};

/// kInto writes into the given outputs and keeps its workspace between calls, kAllocating takes both new each
/// time.
harness::Invocation prepare_kernels(const harness::Case& which, const harness::TensorSet& inputs,
                                    harness::TensorSet& outputs, harness::CallStyle style,
                                    const PointwiseKernels& kernels);

}  // namespace assay::suites::compile
