// SPDX-License-Identifier: Apache-2.0
// Checks, configuration, launch. Dispatch over output type, nesting and variant is total.
#include <algorithm>
#include <bit>
#include <mutex>
#include <stdexcept>
#include <string>

#include "kernels/common/cuda_check.hpp"
#include "kernels/nf4/dequantize.hpp"
#include "kernels/nf4/dequantize_config.hpp"
#include "kernels/nf4/dequantize_kernel.cuh"

namespace assay::kernels::nf4 {
namespace {

constexpr int kUnalignedThreads = 256;
constexpr std::int64_t kMaxWeights = std::int64_t{1} << 34;  // vector indices are 32 bits wide

struct CurrentDevice {
  int sm = 0;
};

CurrentDevice current_device() {
  static std::mutex mutex;
  static CurrentDevice known[64];
  int device = 0;
  ASSAY_CUDA_CHECK(cudaGetDevice(&device));
  if (device >= 64)
    throw std::runtime_error("dequantize: expected a device index below 64, found " + std::to_string(device));
  const std::lock_guard lock(mutex);
  CurrentDevice& d = known[device];
  if (d.sm == 0) {
    int major = 0, minor = 0;
    ASSAY_CUDA_CHECK(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device));
    ASSAY_CUDA_CHECK(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device));
    d.sm = major * 10 + minor;
  }
  return d;
}

DeviceDequantize device_arguments(const DequantizeArgs& args) {
  const PackedWeights& w = args.weights;
  DeviceDequantize p{};
  p.packed = w.packed;
  p.absmax_codes = w.absmax_codes;
  p.absmax = w.absmax;
  p.nested_absmax = w.nested_absmax;
  p.nested_code = w.nested_code;
  p.nested_offset = w.nested_offset;
  p.out = args.out;
  p.num_weights = w.num_weights;
  p.block_shift = std::countr_zero(static_cast<unsigned>(w.block_size));
  p.nested_block_shift = std::countr_zero(static_cast<unsigned>(w.nested_block_size));
  std::ranges::copy(code_table(w.codebook), p.code);
  return p;
}

/// The code that would run: which SM its PTX was made for decides whether it knows how to wait for a previous
/// grid. All kernels of a build are made for the same targets, so one is asked for all.
bool waits_for_previous_grid(int sm) {
  if (sm < 90)
    return false;
  static const int built_for = dequantize_built_code(DequantizeVariant::kFused).ptx_sm;
  return built_for >= 90;
}

template <class Kernel>
void launch(Kernel* kernel, const DequantizeConfig& config, const DeviceDequantize& p, bool dependent,
            cudaStream_t stream) {
  cudaLaunchConfig_t launch{};
  launch.gridDim = dim3(static_cast<unsigned>(config.blocks));
  launch.blockDim = dim3(static_cast<unsigned>(config.threads));
  launch.stream = stream;
  cudaLaunchAttribute attribute{};
  attribute.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  attribute.val.programmaticStreamSerializationAllowed = 1;
  launch.attrs = &attribute;
  launch.numAttrs = dependent ? 1 : 0;
  ASSAY_CUDA_CHECK(cudaLaunchKernelEx(&launch, kernel, p));
}

/// Constant weights change when the kernel waits, which only the default variant offers.
template <class Out, bool kNested, DequantizeVariant kVariant, bool kConstant = false>
void launch_variant(const DequantizeConfig& config, const DeviceDequantize& p, int sm, cudaStream_t stream) {
  const bool dependent = kVariant != DequantizeVariant::kPlain && waits_for_previous_grid(sm);
  if (config.threads == 256 && config.vectors_per_thread == 4) {
    return launch(dequantize_kernel<Out, kNested, kVariant, kConstant, 4, 256>, config, p, dependent, stream);
  }
  if (config.threads == 512 && config.vectors_per_thread == 2) {
    return launch(dequantize_kernel<Out, kNested, kVariant, kConstant, 2, 512>, config, p, dependent, stream);
  }
  throw std::logic_error("dequantize: no kernel was built for " + std::to_string(config.threads) +
                         " threads of " + std::to_string(config.vectors_per_thread) + " vectors");
}

template <class Out, bool kNested>
void launch_nested(const DequantizeConfig& config, const DeviceDequantize& p, DequantizeVariant variant,
                   bool constant, int sm, cudaStream_t stream) {
  if (!config.vectorized) {
    return launch(dequantize_unaligned_kernel<Out, kNested, kUnalignedThreads>, config, p, false, stream);
  }
  switch (variant) {
    case DequantizeVariant::kFused:
      if (constant)
        return launch_variant<Out, kNested, DequantizeVariant::kFused, true>(config, p, sm, stream);
      return launch_variant<Out, kNested, DequantizeVariant::kFused>(config, p, sm, stream);
    case DequantizeVariant::kPlain:
      return launch_variant<Out, kNested, DequantizeVariant::kPlain>(config, p, sm, stream);
    case DequantizeVariant::kNoCachePolicy:
      return launch_variant<Out, kNested, DequantizeVariant::kNoCachePolicy>(config, p, sm, stream);
  }
  throw std::invalid_argument("dequantize: unknown variant " + std::to_string(static_cast<int>(variant)));
}

template <class Out>
void launch_type(const DequantizeConfig& config, const DequantizeArgs& args, DequantizeVariant variant,
                 int sm, cudaStream_t stream) {
  const DeviceDequantize p = device_arguments(args);
  if (args.weights.nested())
    return launch_nested<Out, true>(config, p, variant, args.weights_are_constant, sm, stream);
  return launch_nested<Out, false>(config, p, variant, args.weights_are_constant, sm, stream);
}

bool aligned(const void* pointer, std::size_t to) {
  return reinterpret_cast<std::uintptr_t>(pointer) % to == 0;
}

void check_out(const DequantizeArgs& args, std::size_t element) {
  if (args.weights.num_weights > 0 && args.out == nullptr) {
    throw std::invalid_argument("dequantize: expected an output pointer, found null");
  }
  if (!aligned(args.out, element)) {
    throw std::invalid_argument("dequantize: expected `out` aligned to its element of " +
                                std::to_string(element) + " bytes, found a pointer that is not");
  }
}

}  // namespace

void dequantize(const DequantizeArgs& args, DequantizeVariant variant, cudaStream_t stream) {
  validate(args.weights);
  const bool f32 = args.out_type == ScalarType::kFloat32;
  check_out(args, f32 ? 4 : 2);
  if (args.weights.num_weights == 0)
    return;
  if (args.weights.num_weights > kMaxWeights) {
    throw std::invalid_argument("dequantize: expected at most 2^34 weights in one call, found " +
                                std::to_string(args.weights.num_weights) + "; split the tensor");
  }
  const CurrentDevice device = current_device();
  const bool fits_vectors = aligned(args.out, 16) && aligned(args.weights.packed, f32 ? 2 : 4);
  const DequantizeConfig config =
      choose_dequantize_config(args.weights.num_weights, args.out_type, fits_vectors);
  switch (args.out_type) {
    case ScalarType::kFloat16:
      return launch_type<__half>(config, args, variant, device.sm, stream);
    case ScalarType::kBfloat16:
      return launch_type<__nv_bfloat16>(config, args, variant, device.sm, stream);
    case ScalarType::kFloat32:
      return launch_type<float>(config, args, variant, device.sm, stream);
  }
  throw std::invalid_argument("dequantize: unknown output type " +
                              std::to_string(static_cast<int>(args.out_type)));
}

void dequantize(const DequantizeArgs& args, cudaStream_t stream) {
  dequantize(args, DequantizeVariant::kFused, stream);
}

BuiltCode dequantize_built_code(DequantizeVariant variant) {
  const void* kernel = nullptr;
  switch (variant) {
    case DequantizeVariant::kFused:
      kernel = reinterpret_cast<const void*>(
          dequantize_kernel<__nv_bfloat16, true, DequantizeVariant::kFused, false, 4, 256>);
      break;
    case DequantizeVariant::kPlain:
      kernel = reinterpret_cast<const void*>(
          dequantize_kernel<__nv_bfloat16, true, DequantizeVariant::kPlain, false, 4, 256>);
      break;
    case DequantizeVariant::kNoCachePolicy:
      kernel = reinterpret_cast<const void*>(
          dequantize_kernel<__nv_bfloat16, true, DequantizeVariant::kNoCachePolicy, false, 4, 256>);
      break;
  }
  if (kernel == nullptr)
    throw std::invalid_argument("dequantize_built_code: unknown variant");
  cudaFuncAttributes a{};
  ASSAY_CUDA_CHECK(cudaFuncGetAttributes(&a, kernel));
  return {.ptx_sm = a.ptxVersion,
          .binary_sm = a.binaryVersion,
          .registers = a.numRegs,
          .local_bytes = static_cast<int>(a.localSizeBytes)};
}

}  // namespace assay::kernels::nf4
