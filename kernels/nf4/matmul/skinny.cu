// SPDX-License-Identifier: Apache-2.0
// Configuration and launch of the skinny product. Dispatch over type and configuration is total.
#include <mutex>
#include <stdexcept>
#include <string>

#include "kernels/common/cuda_check.hpp"
#include "kernels/nf4/matmul/plain_kernel.cuh"
#include "kernels/nf4/matmul/skinny_check.hpp"
#include "kernels/nf4/matmul/skinny_kernel.cuh"

namespace assay::kernels::nf4 {
namespace {

using device::SkinnyParams;

template <class T, int kBlocksAGroup, int kColumnTiles, int kRowTiles>
__global__ void __launch_bounds__(
    (device::Skinny<T, kBlocksAGroup, kColumnTiles, kRowTiles>::kThreads),
    (device::Skinny<T, kBlocksAGroup, kColumnTiles, kRowTiles>::kBlocksAMultiprocessor))
    skinny_kernel(const __grid_constant__ SkinnyParams p) {
  device::Skinny<T, kBlocksAGroup, kColumnTiles, kRowTiles>(p).run();
}

template <class T>
__global__ void __launch_bounds__(32 * device::kPlainWarps)
    skinny_plain_kernel(const __grid_constant__ SkinnyParams p) {
  device::plain_rows<T>(p);
}

struct CurrentDevice {
  int index = 0, code_sm = 0, multiprocessors = 0;
};

/// `code_sm`: which target the code that runs here was built for; a build of PTX runs on newer GPUs.
CurrentDevice current_device() {
  static std::mutex mutex;
  static CurrentDevice known[64];
  int index = 0;
  ASSAY_CUDA_CHECK(cudaGetDevice(&index));
  if (index >= 64)
    throw std::runtime_error("skinny_linear: expected a device index below 64, found " +
                             std::to_string(index));
  const std::lock_guard lock(mutex);
  CurrentDevice& d = known[index];
  if (d.code_sm == 0) {
    cudaFuncAttributes a{};
    ASSAY_CUDA_CHECK(cudaFuncGetAttributes(&a, skinny_plain_kernel<float>));
    ASSAY_CUDA_CHECK(cudaDeviceGetAttribute(&d.multiprocessors, cudaDevAttrMultiProcessorCount, index));
    d.index = index;
    d.code_sm = a.ptxVersion;
  }
  return d;
}

template <class Kernel>
void launch(Kernel* kernel, unsigned blocks, unsigned threads, int shared_bytes, const SkinnyParams& p,
            int code_sm, cudaStream_t stream) {
  ASSAY_CUDA_CHECK(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, shared_bytes));
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(blocks);
  config.blockDim = dim3(threads);
  config.dynamicSmemBytes = static_cast<std::size_t>(shared_bytes);
  config.stream = stream;
  cudaLaunchAttribute attribute{};
  attribute.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  attribute.val.programmaticStreamSerializationAllowed = 1;
  config.attrs = &attribute;
  config.numAttrs = code_sm >= 90 ? 1 : 0;
  ASSAY_CUDA_CHECK(cudaLaunchKernelEx(&config, kernel, p));
}

template <class T, int kBlocksAGroup, int kColumnTiles>
void launch_rows(const SkinnyConfig& c, const SkinnyParams& p, int code_sm, cudaStream_t stream) {
  const auto run = [&]<int kRowTiles>() {
    using Kernel = device::Skinny<T, kBlocksAGroup, kColumnTiles, kRowTiles>;
    launch(skinny_kernel<T, kBlocksAGroup, kColumnTiles, kRowTiles>, c.grid, Kernel::kThreads,
           Kernel::kSharedBytes, p, code_sm, stream);
  };
  return c.row_tiles == 1 ? run.template operator()<1>() : run.template operator()<2>();
}

template <class T>
void launch_matrix(const SkinnyConfig& c, const SkinnyParams& p, int code_sm, cudaStream_t stream) {
  if (c.column_tiles == 2)
    return launch_rows<T, 1, 2>(c, p, code_sm, stream);
  switch (c.blocks_a_group) {
    case 4:
      return launch_rows<T, 4, 1>(c, p, code_sm, stream);
    case 2:
      return launch_rows<T, 2, 1>(c, p, code_sm, stream);
    default:
      return launch_rows<T, 1, 1>(c, p, code_sm, stream);
  }
}

template <class T>
void launch_plain(const SkinnyConfig& c, const SkinnyParams& p, int code_sm, cudaStream_t stream) {
  launch(skinny_plain_kernel<T>, c.grid, 32 * device::kPlainWarps, 16 * 4, p, code_sm, stream);
}

void run(const SkinnyArgs& args, const SkinnyConfig& config, const CurrentDevice& device,
         cudaStream_t stream) {
  check(config, problem_of(args, device.code_sm, device.multiprocessors));
  const SkinnyParams p = params_of(args);
  switch (args.type) {
    case ScalarType::kFloat16:
      return config.matrix ? launch_matrix<__half>(config, p, device.code_sm, stream)
                           : launch_plain<__half>(config, p, device.code_sm, stream);
    case ScalarType::kBfloat16:
      return config.matrix ? launch_matrix<__nv_bfloat16>(config, p, device.code_sm, stream)
                           : launch_plain<__nv_bfloat16>(config, p, device.code_sm, stream);
    case ScalarType::kFloat32:
      return launch_plain<float>(config, p, device.code_sm, stream);
  }
  throw std::invalid_argument("skinny_linear: unknown type " + std::to_string(static_cast<int>(args.type)));
}

}  // namespace

SkinnyConfig skinny_config_for(const SkinnyArgs& args) {
  const SkinnyArgs full = checked(args);
  const CurrentDevice device = current_device();
  return choose_skinny_config(problem_of(full, device.code_sm, device.multiprocessors));
}

void skinny_linear(const SkinnyArgs& args, const SkinnyConfig& config, cudaStream_t stream) {
  const SkinnyArgs full = checked(args);
  if (full.m > 0 && full.n > 0)
    run(full, config, current_device(), stream);
}

void skinny_linear(const SkinnyArgs& args, cudaStream_t stream) {
  const SkinnyArgs full = checked(args);
  if (full.m == 0 || full.n == 0)
    return;
  const CurrentDevice device = current_device();
  run(full, choose_skinny_config(problem_of(full, device.code_sm, device.multiprocessors)), device, stream);
}

}  // namespace assay::kernels::nf4
