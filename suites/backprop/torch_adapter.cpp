// SPDX-License-Identifier: Apache-2.0
#include "suites/backprop/torch_adapter.hpp"

#include <ATen/cuda/CUDAContextLight.h>
#include <c10/core/Allocator.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <c10/util/Exception.h>

#include <optional>
#include <stdexcept>

#include "harness/core/outcome.hpp"

namespace assay::suites::backprop {
namespace {

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

void copy_into(const std::vector<at::Tensor>& from, const std::vector<at::Tensor>& to) {
  if (from.size() != to.size())
    throw std::logic_error("backprop: expected " + std::to_string(to.size()) + " outputs, found " +
                           std::to_string(from.size()));
  for (std::size_t i = 0; i < to.size(); ++i) to[i].copy_(from[i].view(to[i].sizes()));
}

}  // namespace

harness::Invocation prepare_torch(const harness::Case& which, const harness::TensorSet& inputs,
                                  harness::TensorSet& outputs, harness::CallStyle style,
                                  const TorchCall& call) {
  const BackpropCase c = parameters_of(which);
  // One cuBLAS workspace a stream would stay behind for every stream that was ever used.
  if (inputs.device() == harness::DeviceKind::kCuda)
    at::cuda::clearCublasWorkspaces();
  std::vector<at::Tensor> to;
  for (const harness::TensorView& view : outputs.views()) to.push_back(as_tensor(view));
  return [c, tensors = tensors_of(c, inputs), to, style, call,
          device = inputs.device()](harness::Stream stream) {
    const OnStream on_stream(device, stream);
    try {
      const std::vector<at::Tensor> out = call(c, tensors);
      if (style == harness::CallStyle::kInto)
        copy_into(out, to);
    } catch (const c10::OutOfMemoryError& error) {
      throw harness::OutOfMemory(error.what_without_backtrace());
    } catch (const c10::Error& error) {
      throw std::runtime_error(error.what_without_backtrace());
    }
  };
}

std::vector<std::string> with_common_sources(std::vector<std::string> sources) {
  for (const char* common : {"suites/backprop/torch_adapter.cpp", "suites/backprop/case_tensors.cpp"})
    sources.push_back(common);
  return sources;
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
  out.sources = with_common_sources(std::move(sources));
  return out;
}

}  // namespace assay::suites::backprop
