// SPDX-License-Identifier: Apache-2.0
// Choice, loading and launch of ahead-of-time compiled Triton kernels.
#include "kernels/common/triton_image.hpp"

#include <cuda.h>

#include <limits>
#include <map>
#include <mutex>
#include <stdexcept>
#include <string>

#include "kernels/common/cuda_check.hpp"

namespace assay::kernels {
namespace {

template <class Function>
Function* driver_entry(const char* symbol, unsigned version) {
  void* function = nullptr;
  cudaDriverEntryPointQueryResult found{};
  ASSAY_CUDA_CHECK(cudaGetDriverEntryPointByVersion(symbol, &function, version, cudaEnableDefault, &found));
  if (found != cudaDriverEntryPointSuccess || function == nullptr) {
    throw std::runtime_error(std::string("expected the CUDA driver to have ") + symbol +
                             " (CUDA 12.0 and later), found a driver without it: update the driver");
  }
  return reinterpret_cast<Function*>(function);
}

/// The few driver functions that the runtime has no equal for or that Triton's images need; names as in
/// cuda.h.
struct Driver {
  decltype(cuGetErrorString)* get_error_string =
      driver_entry<decltype(cuGetErrorString)>("cuGetErrorString", 6000);
  decltype(cuCtxGetCurrent)* ctx_get_current =
      driver_entry<decltype(cuCtxGetCurrent)>("cuCtxGetCurrent", 4000);
  decltype(cuLibraryLoadData)* library_load_data =
      driver_entry<decltype(cuLibraryLoadData)>("cuLibraryLoadData", 12000);
  decltype(cuLibraryGetKernel)* library_get_kernel =
      driver_entry<decltype(cuLibraryGetKernel)>("cuLibraryGetKernel", 12000);
  decltype(cuLaunchKernel)* launch_kernel = driver_entry<decltype(cuLaunchKernel)>("cuLaunchKernel", 4000);

  void check(CUresult result, const TritonImage& image, const char* step) const {
    if (result == CUDA_SUCCESS)
      return;
    const char* text = nullptr;
    get_error_string(result, &text);
    throw std::runtime_error("Triton kernel " + std::string(image.name) + " for sm_" +
                             std::to_string(image.arch) + ": " + step +
                             " failed: " + (text ? text : "unknown driver error"));
  }
};

const Driver& driver() {
  static const Driver instance;
  return instance;
}

/// Loading is no work on any stream, so it must not end a capture that this thread has begun.
class RelaxedCapture {
 public:
  RelaxedCapture() { ASSAY_CUDA_CHECK(cudaThreadExchangeStreamCaptureMode(&mode_)); }
  ~RelaxedCapture() { cudaThreadExchangeStreamCaptureMode(&mode_); }
  RelaxedCapture(const RelaxedCapture&) = delete;
  RelaxedCapture& operator=(const RelaxedCapture&) = delete;

 private:
  cudaStreamCaptureMode mode_ = cudaStreamCaptureModeRelaxed;
};

CUkernel load(const TritonImage& image) {
  const RelaxedCapture relaxed;
  CUlibrary library{};
  driver().check(driver().library_load_data(&library, image.data, nullptr, nullptr, 0, nullptr, nullptr, 0),
                 image, "loading");
  CUkernel kernel{};
  driver().check(driver().library_get_kernel(&kernel, library, image.entry), image, "finding the entry");
  return kernel;
}

/// A library belongs to no context: the driver brings it into the context of each launch, so one serves all
/// GPUs.
CUkernel loaded(const TritonImage& image) {
  static std::mutex mutex;
  static std::map<const std::uint64_t*, CUkernel> kernels;
  const std::lock_guard lock(mutex);
  auto found = kernels.find(image.data);
  if (found == kernels.end())
    found = kernels.emplace(image.data, load(image)).first;
  return found->second;
}

/// The driver API does not initialise the device's primary context for a new thread, the runtime does.
void bind_context(const TritonImage& image) {
  CUcontext context{};
  driver().check(driver().ctx_get_current(&context), image, "asking for the context");
  if (context != nullptr)
    return;
  int device = 0;
  ASSAY_CUDA_CHECK(cudaGetDevice(&device));
  ASSAY_CUDA_CHECK(cudaSetDevice(device));
}

std::string describe(const std::vector<TritonImage>& images, std::string_view name) {
  std::string text;
  for (const TritonImage& image : images) {
    if (image.name != name)
      continue;
    text += (text.empty() ? "" : ", ") + std::string("sm_") + std::to_string(image.arch) +
            (image.format == TritonImage::Format::kPtx ? " (PTX)" : "");
  }
  return text.empty() ? "none" : text;
}

}  // namespace

bool runs_on(const TritonImage& image, int sm) {
  if (image.format == TritonImage::Format::kPtx)
    return image.arch < 90 ? image.arch <= sm : image.arch == sm;
  if (image.arch >= 90)
    return image.arch == sm;
  return image.arch / 10 == sm / 10 && image.arch <= sm;
}

const TritonImage& choose_image(const std::vector<TritonImage>& images, std::string_view name, int sm) {
  const TritonImage* best = nullptr;
  const auto rank = [](const TritonImage& i) {
    return (i.format == TritonImage::Format::kCubin ? 1000 : 0) + i.arch;
  };
  for (const TritonImage& image : images) {
    if (image.name == name && runs_on(image, sm) && (best == nullptr || rank(image) > rank(*best)))
      best = &image;
  }
  if (best == nullptr) {
    throw std::runtime_error("Triton kernel " + std::string(name) + ": expected an image for sm_" +
                             std::to_string(sm) + ", found " + describe(images, name) +
                             ": build with -DASSAY_TRITON=ON and this GPU in CMAKE_CUDA_ARCHITECTURES");
  }
  return *best;
}

void launch_image(const TritonImage& image, std::int64_t programs, std::vector<void*> arguments,
                  cudaStream_t stream) {
  if (programs < 1 || programs > std::numeric_limits<std::int32_t>::max()) {
    throw std::runtime_error("Triton kernel " + std::string(image.name) +
                             ": expected 1 to 2^31-1 programs, found " + std::to_string(programs));
  }
  void* no_scratch = nullptr;
  arguments.insert(arguments.end(), 2, &no_scratch);
  if (static_cast<int>(arguments.size()) != image.num_parameters) {
    throw std::runtime_error("Triton kernel " + std::string(image.name) + ": expected " +
                             std::to_string(image.num_parameters - 2) + " arguments, found " +
                             std::to_string(arguments.size() - 2));
  }
  bind_context(image);
  const auto function = reinterpret_cast<CUfunction>(loaded(image));
  driver().check(
      driver().launch_kernel(function, static_cast<unsigned>(programs), 1, 1,
                             static_cast<unsigned>(image.num_warps * 32), 1, 1,
                             static_cast<unsigned>(image.shared_bytes), stream, arguments.data(), nullptr),
      image, "launching");
}

}  // namespace assay::kernels
