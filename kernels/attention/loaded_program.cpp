// SPDX-License-Identifier: Apache-2.0
#include "kernels/attention/loaded_program.hpp"

#include <limits>
#include <stdexcept>

#include "kernels/common/cuda_check.hpp"
#include "kernels/common/driver.hpp"

namespace assay::kernels::attention {

LoadedProgram::LoadedProgram(const std::string& code) {
  const RelaxedCapture relaxed;
  bind_context("attention program");
  driver().check(
      driver().library_load_data(&library_, code.c_str(), nullptr, nullptr, 0, nullptr, nullptr, 0),
      "attention program", "loading");
}

CUkern_st* LoadedProgram::find(const char* kernel, int shared_bytes) const {
  const std::lock_guard lock(mutex_);
  auto found = kernels_.find(kernel);
  if (found == kernels_.end()) {
    CUkernel handle{};
    driver().check(driver().library_get_kernel(&handle, library_, kernel), kernel, "finding the kernel");
    found = kernels_.emplace(kernel, handle).first;
  }
  int device = 0;
  ASSAY_CUDA_CHECK(cudaGetDevice(&device));
  if (shared_bytes > 48 << 10 && allowed_.emplace(found->second, device).second) {
    const RelaxedCapture relaxed;
    driver().check(driver().kernel_set_attribute(CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
                                                 shared_bytes, found->second, device),
                   kernel, "asking for shared memory");
  }
  return found->second;
}

void LoadedProgram::launch(const char* kernel, const Launch& launch, std::vector<void*> arguments) const {
  if (launch.blocks == 0)
    return;
  if (launch.blocks < 0 || launch.blocks > std::numeric_limits<std::int32_t>::max())
    throw std::invalid_argument(std::string(kernel) + ": expected at most 2^31-1 blocks of threads, found " +
                                std::to_string(launch.blocks));
  bind_context(kernel);
  const auto function = reinterpret_cast<CUfunction>(find(kernel, launch.shared_bytes));
  driver().check(driver().launch_kernel(function, static_cast<unsigned>(launch.blocks), 1, 1,
                                        static_cast<unsigned>(launch.threads), 1, 1,
                                        static_cast<unsigned>(launch.shared_bytes), launch.stream,
                                        arguments.data(), nullptr),
                 kernel, "launching");
}

}  // namespace assay::kernels::attention
