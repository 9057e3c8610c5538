// SPDX-License-Identifier: Apache-2.0
// The library's matrix rate, in the layout it is fastest in (both operands contiguous along the summed axis).
// C[n,n] = Aᵀ·B in cuBLAS' column-major words.
#include <cublasLt.h>
#include <cuda_runtime_api.h>
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <stdexcept>
#include <type_traits>
#include <vector>

#include "harness/measure/ceilings.hpp"
#include "harness/measure/cuda_handles.hpp"
#include "harness/measure/probe_kernels.hpp"
#include "harness/measure/rotation.hpp"
#include "harness/measure/statistics.hpp"

namespace assay::harness {
namespace {

constexpr std::size_t kWorkspaceBytes = std::size_t{64} << 20;

void check_cublas(cublasStatus_t status, const char* call) {
  if (status != CUBLAS_STATUS_SUCCESS) {
    throw std::runtime_error(fmt::format("{} returned {}", call, cublasLtGetStatusString(status)));
  }
}
#define ASSAY_CUBLAS(call) check_cublas((call), #call)

template <class Handle, cublasStatus_t (*kDestroy)(Handle)>
struct Destroy {
  void operator()(Handle handle) const { static_cast<void>(kDestroy(handle)); }
};
template <class Handle, cublasStatus_t (*kDestroy)(Handle)>
using Owned = std::unique_ptr<std::remove_pointer_t<Handle>, Destroy<Handle, kDestroy>>;

using LtHandle = Owned<cublasLtHandle_t, cublasLtDestroy>;
using Operation = Owned<cublasLtMatmulDesc_t, cublasLtMatmulDescDestroy>;
using Layout = Owned<cublasLtMatrixLayout_t, cublasLtMatrixLayoutDestroy>;
using Preference = Owned<cublasLtMatmulPreference_t, cublasLtMatmulPreferenceDestroy>;

LtHandle make_handle() {
  cublasLtHandle_t handle = nullptr;
  ASSAY_CUBLAS(cublasLtCreate(&handle));
  return LtHandle(handle);
}

Operation make_operation() {
  cublasLtMatmulDesc_t operation = nullptr;
  ASSAY_CUBLAS(cublasLtMatmulDescCreate(&operation, CUBLAS_COMPUTE_32F, CUDA_R_32F));
  Operation owned(operation);
  const cublasOperation_t transposed = CUBLAS_OP_T;
  ASSAY_CUBLAS(
      cublasLtMatmulDescSetAttribute(operation, CUBLASLT_MATMUL_DESC_TRANSA, &transposed, sizeof transposed));
  return owned;
}

Layout make_layout(cudaDataType type, std::int64_t n) {
  cublasLtMatrixLayout_t layout = nullptr;
  const auto extent = static_cast<std::uint64_t>(n);
  ASSAY_CUBLAS(cublasLtMatrixLayoutCreate(&layout, type, extent, extent, n));
  return Layout(layout);
}

/// One square product: everything cuBLASLt needs to run it again and again.
class Product {
 public:
  Product(MatmulType type, std::int64_t n)
      : n_(n),
        layout_(make_layout(type == MatmulType::kBfloat16 ? CUDA_R_16BF : CUDA_R_16F, n)),
        a_(matrix_bytes(), DeviceKind::kCuda),
        b_(matrix_bytes(), DeviceKind::kCuda),
        c_(matrix_bytes(), DeviceKind::kCuda),
        workspace_(kWorkspaceBytes, DeviceKind::kCuda),
        stream_(DeviceKind::kCuda) {
    RandomBits bits = type == MatmulType::kBfloat16 ? kRandomBf16 : kRandomF16;
    enqueue_random_fill(a_.data(), bits, matrix_bytes(), stream_);
    bits.seed = 2;
    enqueue_random_fill(b_.data(), bits, matrix_bytes(), stream_);
    stream_.synchronize();
  }

  std::vector<cublasLtMatmulHeuristicResult_t> algorithms() const {
    constexpr int kMost = 8;
    cublasLtMatmulPreference_t preference = nullptr;
    ASSAY_CUBLAS(cublasLtMatmulPreferenceCreate(&preference));
    const Preference owned(preference);
    ASSAY_CUBLAS(cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                                                      &kWorkspaceBytes, sizeof kWorkspaceBytes));
    std::vector<cublasLtMatmulHeuristicResult_t> found(kMost);
    int count = 0;
    ASSAY_CUBLAS(cublasLtMatmulAlgoGetHeuristic(handle_.get(), operation_.get(), layout_.get(), layout_.get(),
                                                layout_.get(), layout_.get(), preference, kMost, found.data(),
                                                &count));
    found.resize(static_cast<std::size_t>(count));
    std::erase_if(found, [](const auto& result) { return result.state != CUBLAS_STATUS_SUCCESS; });
    return found;
  }

  /// Median device time in nanoseconds.
  double time_ns(const cublasLtMatmulAlgo_t& algorithm, int repeats) {
    EventTimer timer(EventTimer::kLeastDelayUs);
    std::vector<double> samples;
    enqueue(algorithm);  // loads the kernel
    for (int i = 0; i < repeats; ++i) {
      samples.push_back(timer.time_ns(stream_, [&] { enqueue(algorithm); }));
    }
    return median(samples);
  }

  double tflops(double ns) const {
    const double n = static_cast<double>(n_);
    return 2.0 * n * n * n / ns / 1000.0;
  }

 private:
  std::size_t matrix_bytes() const { return static_cast<std::size_t>(n_) * static_cast<std::size_t>(n_) * 2; }

  void enqueue(const cublasLtMatmulAlgo_t& algorithm) {
    const float one = 1.0f, zero = 0.0f;
    ASSAY_CUBLAS(cublasLtMatmul(handle_.get(), operation_.get(), &one, a_.data(), layout_.get(), b_.data(),
                                layout_.get(), &zero, c_.data(), layout_.get(), c_.data(), layout_.get(),
                                &algorithm, workspace_.data(), kWorkspaceBytes, stream_));
  }

  std::int64_t n_;
  LtHandle handle_ = make_handle();
  Operation operation_ = make_operation();
  Layout layout_;
  DeviceBuffer a_, b_, c_, workspace_;
  OwnedStream stream_;
};

/// 8192, halved until three matrices and the workspace fit in half of the free memory.
std::int64_t extent_that_fits(const DeviceInfo& device) {
  std::int64_t n = 8192;
  const std::size_t free = free_bytes(device);
  while (n > 512 && static_cast<std::size_t>(3 * n * n * 2) + kWorkspaceBytes > free / 2) {
    n /= 2;
  }
  return n;
}

}  // namespace

std::optional<double> measure_matmul_tflops(const DeviceInfo& device, MatmulType type) {
  const int needed_sm = type == MatmulType::kBfloat16 ? 80 : 70;
  if (device.sm < needed_sm) {
    return std::nullopt;
  }
  Product product(type, extent_that_fits(device));
  const auto algorithms = product.algorithms();
  if (algorithms.empty()) {
    throw std::runtime_error(
        "cuBLASLt proposes no algorithm for a square 16-bit matrix product on this device");
  }
  const cublasLtMatmulAlgo_t* best = nullptr;
  double best_ns = 0;
  for (const auto& result : algorithms) {
    const double ns = product.time_ns(result.algo, 3);
    if (best == nullptr || ns < best_ns) {
      best = &result.algo;
      best_ns = ns;
    }
  }
  return product.tflops(product.time_ns(*best, 10));
}

}  // namespace assay::harness
