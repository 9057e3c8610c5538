// SPDX-License-Identifier: Apache-2.0
#include "kernels/common/driver.hpp"

#include <stdexcept>

#include "kernels/common/cuda_check.hpp"

namespace assay::kernels {
namespace {

template <class Function>
void find(Function*& function, const char* symbol, unsigned version) {
  function = reinterpret_cast<Function*>(driver_entry(symbol, version));
}

Driver find_all() {
  Driver d{};
  find(d.get_error_string, "cuGetErrorString", 6000);
  find(d.ctx_get_current, "cuCtxGetCurrent", 4000);
  find(d.library_load_data, "cuLibraryLoadData", 12000);
  find(d.library_get_kernel, "cuLibraryGetKernel", 12000);
  find(d.kernel_set_attribute, "cuKernelSetAttribute", 12000);
  find(d.launch_kernel, "cuLaunchKernel", 4000);
  find(d.tensor_map_encode_tiled, "cuTensorMapEncodeTiled", 12000);
  return d;
}

}  // namespace

void* driver_entry(const char* symbol, unsigned version) {
  void* function = nullptr;
  cudaDriverEntryPointQueryResult found{};
  ASSAY_CUDA_CHECK(cudaGetDriverEntryPointByVersion(symbol, &function, version, cudaEnableDefault, &found));
  if (found != cudaDriverEntryPointSuccess || function == nullptr) {
    throw std::runtime_error(std::string("expected the CUDA driver to have ") + symbol +
                             " (CUDA 12.0 and later), found a driver without it: update the driver");
  }
  return function;
}

void Driver::check(CUresult result, const std::string& subject, const char* step) const {
  if (result == CUDA_SUCCESS)
    return;
  const char* text = nullptr;
  get_error_string(result, &text);
  throw std::runtime_error(subject + ": " + step + " failed: " + (text ? text : "unknown driver error"));
}

const Driver& driver() {
  static const Driver instance = find_all();
  return instance;
}

void bind_context(const std::string& subject) {
  CUcontext context{};
  driver().check(driver().ctx_get_current(&context), subject, "asking for the context");
  if (context != nullptr)
    return;
  int device = 0;
  ASSAY_CUDA_CHECK(cudaGetDevice(&device));
  ASSAY_CUDA_CHECK(cudaSetDevice(device));
}

RelaxedCapture::RelaxedCapture() {
  ASSAY_CUDA_CHECK(cudaThreadExchangeStreamCaptureMode(&mode_));
}
RelaxedCapture::~RelaxedCapture() {
  cudaThreadExchangeStreamCaptureMode(&mode_);
}

}  // namespace assay::kernels
