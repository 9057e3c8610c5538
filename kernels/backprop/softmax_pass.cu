// SPDX-License-Identifier: Apache-2.0
// Checks, configuration, launch. Dispatch over type, options and residence is total. The plain kernels know
// neither bias nor softcap, smoothing or class weights; f32 logits have only the general ones.
#include <limits>
#include <map>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>

#include "kernels/backprop/cross_entropy_kernel.cuh"
#include "kernels/backprop/softmax_pass.hpp"
#include "kernels/backprop/softmax_pass_check.hpp"
#include "kernels/backprop/softmax_pass_config.hpp"
#include "kernels/backprop/token_statistics_kernel.cuh"
#include "kernels/common/cuda_check.hpp"

namespace assay::kernels::backprop {
namespace {

int current_device() {
  int device = 0;
  ASSAY_CUDA_CHECK(cudaGetDevice(&device));
  return device;
}

int attribute(cudaDeviceAttr which, int device) {
  int value = 0;
  ASSAY_CUDA_CHECK(cudaDeviceGetAttribute(&value, which, device));
  return value;
}

/// Which SM the code that would run was made for decides whether it knows clusters. All kernels of a build
/// are made for the same targets, so one is asked for all.
SoftmaxPassLimits read_limits(int device) {
  SoftmaxPassLimits limits;
  limits.shared_bytes_per_block = attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin, device);
  limits.shared_bytes_per_multiprocessor = attribute(cudaDevAttrMaxSharedMemoryPerMultiprocessor, device);
  cudaFuncAttributes code{};
  ASSAY_CUDA_CHECK(cudaFuncGetAttributes(
      &code, reinterpret_cast<const void*>(
                 device::cross_entropy_kernel<__half, false, device::Residence::kCluster>)));
  limits.clusters = attribute(cudaDevAttrComputeCapabilityMajor, device) >= 9 && code.ptxVersion >= 90;
  return limits;
}

/// Lets a kernel have all the shared memory there is, once a device.
void allow_shared_memory(const void* kernel, std::int64_t most_bytes) {
  static std::mutex mutex;
  static std::set<std::pair<int, const void*>> done;
  const std::lock_guard lock(mutex);
  if (!done.emplace(current_device(), kernel).second)
    return;
  ASSAY_CUDA_CHECK(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                        static_cast<int>(most_bytes)));
  ASSAY_CUDA_CHECK(cudaFuncSetAttribute(kernel, cudaFuncAttributePreferredSharedMemoryCarveout,
                                        cudaSharedmemCarveoutMaxShared));
}

struct Launch {
  std::int64_t rows;
  int threads, cluster;
  std::int64_t shared_bytes;
  cudaStream_t stream;
};

template <class Arguments>
void launch(void (*kernel)(Arguments), const Launch& shape, const Arguments& arguments) {
  const std::int64_t blocks = shape.rows * shape.cluster;
  if (shape.rows > std::numeric_limits<int>::max() / shape.cluster)
    throw std::invalid_argument("softmax pass: expected at most 2^31 blocks, found " +
                                std::to_string(blocks) + "; split the rows");
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(static_cast<unsigned>(blocks));
  config.blockDim = dim3(static_cast<unsigned>(shape.threads));
  config.dynamicSmemBytes = static_cast<std::size_t>(shape.shared_bytes);
  config.stream = shape.stream;
  cudaLaunchAttribute cluster{};
  cluster.id = cudaLaunchAttributeClusterDimension;
  cluster.val.clusterDim = {static_cast<unsigned>(shape.cluster), 1, 1};
  config.attrs = &cluster;
  config.numAttrs = shape.cluster > 1 ? 1 : 0;
  ASSAY_CUDA_CHECK(cudaLaunchKernelEx(&config, kernel, arguments));
}

constexpr double kLog2E = 1.4426950408889634;

device::Rows device_rows(const LogitRows& logits) {
  const LogitTransform& t = logits.transform;
  const bool capped = t.softcap > 0.0;
  return {.data = logits.data,
          .bias = logits.bias,
          .stride = logits.stride,
          .vocab = static_cast<int>(logits.vocab),
          .scale = static_cast<float>(kLog2E * (capped ? t.softcap : 1.0) / t.temperature),
          .inverse_softcap = capped ? static_cast<float>(1.0 / t.softcap) : 0.0f,
          .slope = static_cast<float>(1.0 / t.temperature)};
}

bool is_plain(const LogitRows& logits) {
  return logits.bias == nullptr && logits.transform.softcap == 0.0;
}

template <class T, bool kGeneral>
void launch_cross_entropy(const device::CrossEntropy& p, const SoftmaxPassConfig& config,
                          const Launch& shape) {
  using device::cross_entropy_kernel;
  using device::Residence;
  if (config.variant == SoftmaxVariant::kTwoSweep)
    return launch(cross_entropy_kernel<T, kGeneral, Residence::kMemory>, shape, p);
  const auto kernel = config.cluster > 1 ? cross_entropy_kernel<T, kGeneral, Residence::kCluster>
                                         : cross_entropy_kernel<T, kGeneral, Residence::kShared>;
  allow_shared_memory(reinterpret_cast<const void*>(kernel), softmax_pass_limits().shared_bytes_per_block);
  return launch(kernel, shape, p);
}

/// Calls start<T, kGeneral>() of the type and of whether an option needs it.
template <class Start>
void dispatch(LogitType type, bool plain, Start start) {
  switch (type) {
    case LogitType::kFloat16:
      return plain ? start.template operator()<__half, false>() : start.template operator()<__half, true>();
    case LogitType::kBfloat16:
      return plain ? start.template operator()<__nv_bfloat16, false>()
                   : start.template operator()<__nv_bfloat16, true>();
    case LogitType::kFloat32:
      return start.template operator()<float, true>();
  }
  throw std::invalid_argument("softmax pass: unknown type " + std::to_string(static_cast<int>(type)));
}

SoftmaxPassShape shape_of(const CrossEntropyPass& pass) {
  return {.vocab = pass.logits.vocab,
          .element_bytes = static_cast<int>(size_of(pass.logits.type)),
          .writes_gradient = pass.write_gradient,
          .softcap = pass.logits.transform.softcap > 0.0f};
}

/// One sweep a row, no resident memory: the shape of two sweeps.
Launch one_sweep(const LogitRows& logits, cudaStream_t stream) {
  const SoftmaxPassShape shape{logits.vocab, static_cast<int>(size_of(logits.type)), false};
  const SoftmaxPassConfig config = choose_softmax_pass_config(shape, {});
  return {logits.rows, config.threads, 1, shared_bytes(config, shape), stream};
}

}  // namespace

SoftmaxPassLimits softmax_pass_limits() {
  static std::mutex mutex;
  static std::map<int, SoftmaxPassLimits> known;
  const int device = current_device();
  const std::lock_guard lock(mutex);
  const auto found = known.find(device);
  return found != known.end() ? found->second : known.emplace(device, read_limits(device)).first->second;
}

void cross_entropy_pass(const CrossEntropyPass& pass, const SoftmaxPassConfig& config, cudaStream_t stream) {
  check(pass);
  const LogitRows& logits = pass.logits;
  if (logits.rows == 0)
    return;
  const SoftmaxPassShape shape = shape_of(pass);
  validate(config, shape, softmax_pass_limits());
  const device::CrossEntropy p{
      .rows = device_rows(logits),
      .labels = pass.labels,
      .class_weight = pass.class_weight,
      .gradient_scale = pass.gradient_scale,
      .loss = pass.loss,
      .lse = pass.lse,
      .ignore_index = pass.ignore_index,
      .label_share = static_cast<float>(1.0 - static_cast<double>(pass.label_smoothing)),
      .smooth_share =
          static_cast<float>(static_cast<double>(pass.label_smoothing) / static_cast<double>(logits.vocab)),
      .z_loss = pass.z_loss,
      .write_gradient = pass.write_gradient};
  const Launch launch{logits.rows, config.threads, config.cluster, shared_bytes(config, shape), stream};
  const bool plain = is_plain(logits) && pass.label_smoothing == 0.0f && pass.class_weight == nullptr;
  dispatch(logits.type, plain,
           [&]<class T, bool kGeneral>() { launch_cross_entropy<T, kGeneral>(p, config, launch); });
}

void cross_entropy_pass(const CrossEntropyPass& pass, cudaStream_t stream) {
  check(pass);
  if (pass.logits.rows == 0)
    return;
  cross_entropy_pass(pass, choose_softmax_pass_config(shape_of(pass), softmax_pass_limits()), stream);
}

void token_statistics_pass(const TokenStatisticsPass& pass, cudaStream_t stream) {
  check(pass);
  if (pass.logits.rows == 0)
    return;
  const device::TokenStatistics p{.rows = device_rows(pass.logits),
                                  .tokens = pass.tokens,
                                  .statistics = pass.statistics,
                                  .upstream = nullptr,
                                  .gradient_scale = nullptr};
  dispatch(pass.logits.type, is_plain(pass.logits), [&]<class T, bool kGeneral>() {
    launch(device::token_statistics_kernel<T, kGeneral>, one_sweep(pass.logits, stream), p);
  });
}

void token_statistics_gradient_pass(const TokenStatisticsGradientPass& pass, cudaStream_t stream) {
  check(pass);
  if (pass.logits.rows == 0)
    return;
  const device::TokenStatistics p{.rows = device_rows(pass.logits),
                                  .tokens = pass.tokens,
                                  .statistics = const_cast<float*>(pass.statistics),
                                  .upstream = pass.upstream,
                                  .gradient_scale = pass.gradient_scale};
  dispatch(pass.logits.type, is_plain(pass.logits), [&]<class T, bool kGeneral>() {
    launch(device::token_statistics_gradient_kernel<T, kGeneral>, one_sweep(pass.logits, stream), p);
  });
}

}  // namespace assay::kernels::backprop
