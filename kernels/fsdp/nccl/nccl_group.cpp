// SPDX-License-Identifier: Apache-2.0
#include "kernels/fsdp/nccl/nccl_group.hpp"

#include <ATen/Context.h>
#include <c10/cuda/CUDAFunctions.h>

#include <stdexcept>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>

namespace assay::kernels::fsdp {

void use_gpu(int index) {
  const int count = c10::cuda::device_count();
  if (index >= count)
    throw std::runtime_error("expected a GPU for local rank " + std::to_string(index) + ", found " +
                             std::to_string(count) + " GPUs: start fewer ranks on this machine");
  at::globalContext().lazyInitDevice(at::kCUDA);
  c10::cuda::set_device(static_cast<c10::DeviceIndex>(index));
}

c10::intrusive_ptr<c10d::Backend> nccl_group(const c10::intrusive_ptr<c10d::Store>& store,
                                             const std::string& name, int rank, int size,
                                             std::chrono::milliseconds timeout) {
  auto options = c10d::ProcessGroupNCCL::Options::create();
  options->timeout = timeout;
  return c10::make_intrusive<c10d::ProcessGroupNCCL>(c10::make_intrusive<c10d::PrefixStore>(name, store),
                                                     rank, size, std::move(options));
}

}  // namespace assay::kernels::fsdp
