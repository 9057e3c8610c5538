// SPDX-License-Identifier: Apache-2.0
// What every implementation of this suite is: tensor code on the harness' memory and stream.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "suites/backprop/case_tensors.hpp"

namespace assay::suites::backprop {

/// One call: outputs in the order of outputs_of().
using TorchCall = std::function<std::vector<at::Tensor>(const BackpropCase& c, const CaseTensors& tensors)>;

/// Autograd allocates what it returns: kInto copies that into the given outputs (a pass over the gradients,
/// the same for every implementation), kAllocating drops it, as a user's call that keeps the tensors.
harness::Invocation prepare_torch(const harness::Case& which, const harness::TensorSet& inputs,
                                  harness::TensorSet& outputs, harness::CallStyle style,
                                  const TorchCall& call);

/// An implementation for `device`; its name ends in "_cpu" there.
harness::Implementation torch_implementation(const std::string& name, harness::Role role,
                                             harness::DeviceKind device, const std::string& about,
                                             const TorchCall& call, std::vector<std::string> sources);

/// Sources that all of them share.
std::vector<std::string> with_common_sources(std::vector<std::string> sources);

}  // namespace assay::suites::backprop
