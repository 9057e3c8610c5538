// SPDX-License-Identifier: Apache-2.0
// CUDA errors as exceptions, and whether CUDA can be used at all. Without a driver the runtime's calls return
// errors; they become a reason here and nothing else in the harness calls CUDA.
#include <cuda_runtime_api.h>
#include <fmt/format.h>

#include "harness/core/outcome.hpp"
#include "harness/device/bytes.hpp"
#include "harness/device/device.hpp"

namespace assay::harness {
namespace {

std::string reason_for(cudaError_t error) {
  switch (error) {
    case cudaErrorInsufficientDriver: {
      int driver = 0;
      static_cast<void>(cudaDriverGetVersion(&driver));
      if (driver == 0) {
        return "no CUDA driver is installed on this machine; install NVIDIA's driver, or use --device cpu";
      }
      return fmt::format(
          "the driver supports CUDA {}.{}, this build needs {}.{}; update the driver, or use --device cpu",
          driver / 1000, driver % 1000 / 10, CUDART_VERSION / 1000, CUDART_VERSION % 1000 / 10);
    }
    case cudaErrorNoDevice:
      return "the CUDA driver sees no GPU; check nvidia-smi and CUDA_VISIBLE_DEVICES, or use --device cpu";
    default:
      return fmt::format("CUDA cannot start: {} ({}); check nvidia-smi, or use --device cpu",
                         cudaGetErrorString(error), cudaGetErrorName(error));
  }
}

std::string find_unavailable_reason() {
  int count = 0;
  cudaError_t error = cudaGetDeviceCount(&count);
  if (error == cudaSuccess && count == 0) {
    error = cudaErrorNoDevice;
  }
  if (error != cudaSuccess) {
    static_cast<void>(cudaGetLastError());
    return reason_for(error);
  }
  error = static_cast<cudaError_t>(probe_device_code());
  if (error == cudaSuccess) {
    return "";
  }
  static_cast<void>(cudaGetLastError());
  if (error != cudaErrorNoKernelImageForDevice && error != cudaErrorInvalidDeviceFunction) {
    return reason_for(error);
  }
  int major = 0, minor = 0;
  static_cast<void>(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, 0));
  static_cast<void>(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, 0));
  return fmt::format(
      "this build holds no code for the GPU found (sm_{}{}); build with "
      "-DCMAKE_CUDA_ARCHITECTURES={}{}, or use --device cpu",
      major, minor, major, minor);
}

}  // namespace

void check_cuda(int error, const char* call, const char* file, int line) {
  const auto code = static_cast<cudaError_t>(error);
  if (code == cudaSuccess) {
    return;
  }
  // Errors that do not poison the context would otherwise be reported again by the next launch check.
  static_cast<void>(cudaGetLastError());
  const std::string message = fmt::format("{}:{}: {} returned {}: {}", file, line, call,
                                          cudaGetErrorName(code), cudaGetErrorString(code));
  if (code == cudaErrorMemoryAllocation) {
    throw OutOfMemory(message);
  }
  throw std::runtime_error(message);
}

bool cuda_available() {
  return cuda_unavailable_reason().empty();
}

std::string cuda_unavailable_reason() {
  static const std::string reason = find_unavailable_reason();
  return reason;
}

}  // namespace assay::harness
