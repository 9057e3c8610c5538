// SPDX-License-Identifier: Apache-2.0
#include "suites/compile/pointwise/torch_adapter.hpp"

namespace assay::suites::compile {

harness::Invocation prepare_torch(const harness::Case& which, const harness::TensorSet& inputs,
                                  harness::TensorSet& outputs, harness::CallStyle style,
                                  const TorchCall& call) {
  return prepare_tensor_call(
      inputs, outputs, style,
      [c = parameters_of(which), call](const Tensors& in, const Tensors& out) { call(c, in, out); });
}

harness::Implementation torch_implementation(const std::string& name, harness::Role role,
                                             harness::DeviceKind device, const std::string& about,
                                             const TorchCall& call, std::vector<std::string> sources) {
  harness::Implementation out;
  out.name = device == harness::DeviceKind::kCpu ? name + "_cpu" : name;
  out.role = role;
  out.device = device;
  out.about = about;
  out.prepare = [call](const harness::Case& which, const harness::TensorSet& inputs,
                       harness::TensorSet& outputs, harness::CallStyle style) {
    return prepare_torch(which, inputs, outputs, style, call);
  };
  out.sources = std::move(sources);
  for (const char* shared :
       {"suites/compile/common/tensors.cpp", "suites/compile/pointwise/torch_adapter.cpp"})
    out.sources.push_back(shared);
  return out;
}

GateAndUp gate_and_up(const PointwiseCase& c, const Tensors& in) {
  if (!c.halves)
    return {in["gate"], in["up"]};
  return {in["gate_up"].narrow(1, 0, c.width), in["gate_up"].narrow(1, c.width, c.width)};
}
GateAndUp gradients_of_gate_and_up(const PointwiseCase& c, const Tensors& out) {
  if (!c.halves)
    return {out["dgate"], out["dup"]};
  return {out["dgate_up"].narrow(1, 0, c.width), out["dgate_up"].narrow(1, c.width, c.width)};
}
at::Tensor as_heads(const PointwiseCase& c, const at::Tensor& rows) {
  return rows.view({c.tokens, -1, c.head_dim});
}

}  // namespace assay::suites::compile
