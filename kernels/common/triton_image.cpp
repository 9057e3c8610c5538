// SPDX-License-Identifier: Apache-2.0
// Choice, loading and launch of ahead-of-time compiled Triton kernels.
#include "kernels/common/triton_image.hpp"

#include <limits>
#include <map>
#include <mutex>
#include <stdexcept>
#include <string>

#include "kernels/common/driver.hpp"

namespace assay::kernels {
namespace {

/// For messages.
std::string subject(const TritonImage& image) {
  return "Triton kernel " + std::string(image.name) + " for sm_" + std::to_string(image.arch);
}

CUkernel load(const TritonImage& image) {
  const RelaxedCapture relaxed;
  CUlibrary library{};
  driver().check(driver().library_load_data(&library, image.data, nullptr, nullptr, 0, nullptr, nullptr, 0),
                 subject(image), "loading");
  CUkernel kernel{};
  driver().check(driver().library_get_kernel(&kernel, library, image.entry), subject(image),
                 "finding the entry");
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
  bind_context(subject(image));
  const auto function = reinterpret_cast<CUfunction>(loaded(image));
  driver().check(
      driver().launch_kernel(function, static_cast<unsigned>(programs), 1, 1,
                             static_cast<unsigned>(image.num_warps * 32), 1, 1,
                             static_cast<unsigned>(image.shared_bytes), stream, arguments.data(), nullptr),
      subject(image), "launching");
}

}  // namespace assay::kernels
