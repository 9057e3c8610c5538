// SPDX-License-Identifier: Apache-2.0
// Triton kernels compiled ahead of time (cmake/triton_aot.py): what a built image is, which one fits a GPU,
// and its launch through the CUDA driver API. The driver is found at run time, so programs start on machines
// without one.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <string_view>
#include <vector>

namespace assay::kernels {

struct TritonImage {
  enum class Format : std::uint8_t { kCubin, kPtx };

  std::string_view name;  ///< which variant, for example "bf16_nested_aligned"
  const char* entry;      ///< the kernel's name inside the image
  int arch;               ///< compute capability times ten, for example 90
  Format format;
  int num_warps;
  int shared_bytes;         ///< dynamic shared memory of a launch
  int weights_per_program;  ///< elements that one program (thread block) makes
  int num_parameters;       ///< arguments and Triton's two scratch pointers behind them
  const std::uint64_t* data;
  std::int64_t num_bytes;  ///< PTX: with its terminating zero
};

/// True when a GPU of compute capability `sm` (times ten) runs `image`: a cubin on its own architecture
/// (before sm_90 also on later minor versions, from sm_90 on Triton's code is for that very one), PTX on
/// every later GPU.
bool runs_on(const TritonImage& image, int sm);

/// The image called `name` that suits `sm` best: a cubin before PTX, the closest architecture first. Throws
/// std::runtime_error listing what was built when none runs there.
const TritonImage& choose_image(const std::vector<TritonImage>& images, std::string_view name, int sm);

/// Loads `image` (each is loaded once per process) and enqueues `programs` of it. `arguments` are pointers to
/// the kernel's own arguments in order. No synchronisation, no allocation after the first call; may be
/// captured in a graph. Throws std::runtime_error with the driver's message.
void launch_image(const TritonImage& image, std::int64_t programs, std::vector<void*> arguments,
                  cudaStream_t stream);

}  // namespace assay::kernels
