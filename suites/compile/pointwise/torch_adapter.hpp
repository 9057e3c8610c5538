// SPDX-License-Identifier: Apache-2.0
// Tensor code of a pointwise case: what the baseline and the wrong implementations are.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "suites/compile/common/tensors.hpp"
#include "suites/compile/pointwise/suite.hpp"

namespace assay::suites::compile {

/// One call: writes every output.
using TorchCall = std::function<void(const PointwiseCase& c, const Tensors& in, const Tensors& out)>;

/// kInto writes into the given outputs, kAllocating into new ones, as a user's call.
harness::Invocation prepare_torch(const harness::Case& which, const harness::TensorSet& inputs,
                                  harness::TensorSet& outputs, harness::CallStyle style,
                                  const TorchCall& call);

/// An implementation for `device`; its name ends in "_cpu" there.
harness::Implementation torch_implementation(const std::string& name, harness::Role role,
                                             harness::DeviceKind device, const std::string& about,
                                             const TorchCall& call, std::vector<std::string> sources);

/// A case's call written with reference/compile/eager.
void eager_call(const PointwiseCase& c, const Tensors& in, const Tensors& out);

/// Gate and up of a case, and the gradients' places, whether they are halves or not.
struct GateAndUp {
  at::Tensor gate, up;
};
GateAndUp gate_and_up(const PointwiseCase& c, const Tensors& in);
GateAndUp gradients_of_gate_and_up(const PointwiseCase& c, const Tensors& out);
/// [N, heads · d] as [N, heads, d].
at::Tensor as_heads(const PointwiseCase& c, const at::Tensor& rows);

}  // namespace assay::suites::compile
