// SPDX-License-Identifier: Apache-2.0
// The few functions of the CUDA driver that the runtime has no equal for, found at run time: programs start
// on machines without a driver.
#pragma once

#include <cuda.h>
#include <cuda_runtime_api.h>

#include <string>

namespace assay::kernels {

/// Address of a driver function as of `version` (12000 for CUDA 12.0). Throws std::runtime_error naming it
/// where the driver has none.
void* driver_entry(const char* symbol, unsigned version);

/// Names as in cuda.h. Made on first use.
struct Driver {
  decltype(cuGetErrorString)* get_error_string;
  decltype(cuCtxGetCurrent)* ctx_get_current;
  decltype(cuLibraryLoadData)* library_load_data;
  decltype(cuLibraryGetKernel)* library_get_kernel;
  decltype(cuKernelSetAttribute)* kernel_set_attribute;
  decltype(cuLaunchKernel)* launch_kernel;
  decltype(cuTensorMapEncodeTiled)* tensor_map_encode_tiled;

  /// Throws std::runtime_error "<subject>: <step> failed: <the driver's message>".
  void check(CUresult result, const std::string& subject, const char* step) const;
};
const Driver& driver();

/// The driver API does not initialise the device's primary context for a new thread; this does.
void bind_context(const std::string& subject);

/// Loading is no work on any stream, so it must not end a capture that this thread has begun.
class RelaxedCapture {
 public:
  RelaxedCapture();
  ~RelaxedCapture();
  RelaxedCapture(const RelaxedCapture&) = delete;
  RelaxedCapture& operator=(const RelaxedCapture&) = delete;

 private:
  cudaStreamCaptureMode mode_ = cudaStreamCaptureModeRelaxed;
};

}  // namespace assay::kernels
