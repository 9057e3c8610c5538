// SPDX-License-Identifier: Apache-2.0
#include "suites/compile/common/tensors.hpp"

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
    case Dtype::kInt32:
      return at::kInt;
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

Tensors tensors_of(const harness::TensorSet& set) {
  Tensors tensors;
  for (const harness::TensorView& view : set.views()) tensors.add(view.name, as_tensor(view));
  return tensors;
}

harness::Invocation prepare_tensor_call(const harness::TensorSet& inputs, const harness::TensorSet& outputs,
                                        harness::CallStyle style, const TensorCall& call) {
  std::vector<std::string> names;
  for (const harness::TensorView& view : outputs.views()) names.push_back(view.name);
  return [in = tensors_of(inputs), to = tensors_of(outputs), names, style, call,
          device = inputs.device()](harness::Stream stream) {
    const OnStream on_stream(device, stream);
    const at::NoGradGuard no_grad;
    try {
      if (style == harness::CallStyle::kInto)
        return call(in, to);
      Tensors fresh;
      for (const std::string& name : names) fresh.add(name, at::empty_like(to[name]));
      call(in, fresh);
    } catch (const c10::OutOfMemoryError& error) {
      throw harness::OutOfMemory(error.what_without_backtrace());
    } catch (const c10::Error& error) {
      throw std::runtime_error(error.what_without_backtrace());
    }
  };
}

}  // namespace assay::suites::compile
