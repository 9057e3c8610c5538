// SPDX-License-Identifier: Apache-2.0
#include "suites/compile/pointwise/torch_adapter.hpp"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/from_blob.h>
#include <c10/core/Allocator.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <c10/util/Exception.h>

#include <optional>
#include <stdexcept>

#include "harness/core/outcome.hpp"

namespace assay::suites::compile {
namespace {

using harness::Dtype;

/// Everything torch does inside goes to the harness' stream.
class OnStream {
 public:
  OnStream(harness::DeviceKind device, harness::Stream stream) {
    if (device == harness::DeviceKind::kCuda)
      guard_.emplace(c10::cuda::getStreamFromExternal(stream, 0));
  }

 private:
  std::optional<c10::cuda::CUDAStreamGuard> guard_;
};

at::ScalarType scalar_type(const harness::TensorView& view) {
  switch (view.dtype) {
    case Dtype::kFloat32:
      return at::kFloat;
    case Dtype::kFloat16:
      return at::kHalf;
    case Dtype::kBfloat16:
      return at::kBFloat16;
    case Dtype::kInt64:
      return at::kLong;
    default:
      throw std::invalid_argument("compile: no tensor type for " + view.name);
  }
}

}  // namespace

at::Tensor as_tensor(const harness::TensorView& view) {
  const auto device =
      view.device == harness::DeviceKind::kCuda ? at::Device(at::kCUDA, 0) : at::Device(at::kCPU);
  return at::from_blob(view.data, view.shape, at::TensorOptions().dtype(scalar_type(view)).device(device));
}

harness::Invocation prepare_torch(const harness::Case& which, const harness::TensorSet& inputs,
                                  harness::TensorSet& outputs, harness::CallStyle style,
                                  const TorchCall& call) {
  Tensors in, to;
  for (const harness::TensorView& view : inputs.views()) in.add(view.name, as_tensor(view));
  for (const harness::TensorView& view : outputs.views()) to.add(view.name, as_tensor(view));
  return [c = parameters_of(which), in, to, style, call, device = inputs.device()](harness::Stream stream) {
    const OnStream on_stream(device, stream);
    const at::NoGradGuard no_grad;
    try {
      if (style == harness::CallStyle::kInto)
        return call(c, in, to);
      Tensors fresh;
      for (const harness::TensorSpec& spec : outputs_of(c))
        fresh.add(spec.name, at::empty_like(to[spec.name]));
      call(c, in, fresh);
    } catch (const c10::OutOfMemoryError& error) {
      throw harness::OutOfMemory(error.what_without_backtrace());
    } catch (const c10::Error& error) {
      throw std::runtime_error(error.what_without_backtrace());
    }
  };
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
  out.sources.push_back("suites/compile/pointwise/torch_adapter.cpp");
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
