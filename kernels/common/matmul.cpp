// SPDX-License-Identifier: Apache-2.0
// Arguments checked, the algorithm looked up or chosen, the product enqueued.
#include "kernels/common/matmul.hpp"

#include <cublasLt.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <compare>
#include <map>
#include <mutex>
#include <stdexcept>
#include <string>

#include "kernels/common/cuda_check.hpp"
#include "kernels/common/matmul_problem.hpp"
#include "kernels/common/matmul_search.hpp"
#include "kernels/common/matmul_winners.hpp"
#include "kernels/common/scale_matrix.hpp"

namespace assay::kernels {
namespace {

std::invalid_argument refuse(const std::string& what) {
  return std::invalid_argument("matmul: " + what);
}

std::size_t size_of(MatmulType type) {
  switch (type) {
    case MatmulType::kFloat16:
    case MatmulType::kBfloat16:
      return 2;
    case MatmulType::kFloat32:
      return 4;
  }
  throw refuse("expected kFloat16, kBfloat16 or kFloat32, found type " +
               std::to_string(static_cast<int>(type)));
}

std::int64_t checked_stride(const char* name, std::int64_t stride, std::int64_t columns) {
  if (stride == 0)
    return columns;
  if (stride < columns)
    throw refuse(std::string("expected ") + name + " 0 or at least the " + std::to_string(columns) +
                 " columns stored, found " + std::to_string(stride));
  return stride;
}

void check_pointer(const char* name, const void* pointer, std::size_t alignment) {
  if (pointer == nullptr || reinterpret_cast<std::uintptr_t>(pointer) % alignment != 0)
    throw refuse(std::string("expected ") + name + " aligned to " + std::to_string(alignment) +
                 " bytes, found " + (pointer == nullptr ? "null" : "an address that is not"));
}

/// The arguments with strides filled in. Throws std::invalid_argument.
MatmulArgs checked(MatmulArgs g) {
  const std::size_t in_size = size_of(g.in_type), out_size = size_of(g.out_type);
  if (g.m < 0 || g.n < 0 || g.k < 0)
    throw refuse("expected sizes of at least 0, found " + shape_text(g));
  if (g.out_type != MatmulType::kFloat32 && g.out_type != g.in_type)
    throw refuse("expected the operands' type or kFloat32 as result, found " + shape_text(g));
  g.lda = checked_stride("lda", g.lda, g.transpose_a ? g.m : g.k);
  g.ldb = checked_stride("ldb", g.ldb, g.transpose_b ? g.k : g.n);
  g.ldd = checked_stride("ldd", g.ldd, g.n);
  if (g.m == 0 || g.n == 0)
    return g;
  check_pointer("d", g.d, out_size);
  if (g.k > 0) {
    check_pointer("a", g.a, in_size);
    check_pointer("b", g.b, in_size);
  }
  if (g.workspace_bytes > 0)
    check_pointer("workspace", g.workspace, 256);
  return g;
}

/// All that the choice of an algorithm depends on.
struct Key {
  std::array<std::int64_t, 6> sizes;
  std::array<int, 6> layout;
  std::array<std::uint32_t, 3> alignment;
  std::size_t workspace_bytes;
  auto operator<=>(const Key&) const = default;
};

Key key_of(const MatmulArgs& g, MatmulChoice choice) {
  return {{g.m, g.n, g.k, g.lda, g.ldb, g.ldd},
          {g.transpose_a, g.transpose_b, static_cast<int>(g.in_type), static_cast<int>(g.out_type),
           g.beta != 0.0f, static_cast<int>(choice)},
          {alignment_of(g.a), alignment_of(g.b), alignment_of(g.d)},
          g.workspace_bytes};
}

/// Allocations and waiting that a capture of this thread would forbid, though none of it belongs to the
/// capture.
class OutsideCapture {
 public:
  OutsideCapture() { ASSAY_CUDA_CHECK(cudaThreadExchangeStreamCaptureMode(&mode_)); }
  ~OutsideCapture() { cudaThreadExchangeStreamCaptureMode(&mode_); }
  OutsideCapture(const OutsideCapture&) = delete;
  OutsideCapture& operator=(const OutsideCapture&) = delete;

 private:
  cudaStreamCaptureMode mode_ = cudaStreamCaptureModeRelaxed;
};

bool may_be_capturing(cudaStream_t stream) {
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  if (cudaStreamIsCapturing(stream, &status) !=
      cudaSuccess) {  // the legacy stream while another one captures
    static_cast<void>(cudaGetLastError());
    return true;
  }
  return status != cudaStreamCaptureStatusNone;
}

/// Of one device, for as long as the process lives: handles hold device memory that must not go while a call
/// runs.
class DeviceState {
 public:
  DeviceState() {
    const OutsideCapture outside;
    check_cublas(cublasLtCreate(&handle_), "cublasLtCreate");
  }
  cublasLtHandle_t handle() const { return handle_; }

  cublasLtMatmulAlgo_t algorithm(const MatmulProblem& problem, const MatmulArgs& g, cudaStream_t stream) {
    const std::lock_guard lock(mutex_);
    if (g.choice == MatmulChoice::kHeuristic)
      return first_proposal(problem, g);
    if (g.beta == 0.0f)
      search_what_is_missing(problem, g, stream);
    if (const auto known = algorithms_.find(key_of(g, MatmulChoice::kTimed)); known != algorithms_.end())
      return known->second;
    const cublasLtMatmulAlgo_t* winner = winner_of(g);
    if (winner == nullptr)
      return first_proposal(problem, g);
    if (!can_run(handle_, problem, g, *winner))
      return keep(key_of(g, MatmulChoice::kTimed), first_proposal(problem, g));
    return keep(key_of(g, MatmulChoice::kTimed), *winner);
  }

  std::vector<MatmulSearch> log() {
    const std::lock_guard lock(mutex_);
    return log_;
  }
  std::vector<MatmulSearch> winners() {
    const std::lock_guard lock(mutex_);
    return winners_.table();
  }
  void keep_in(const std::filesystem::path& file) {
    const std::lock_guard lock(mutex_);
    winners_.keep_in(file);
    algorithms_.clear();
  }
  void forget() {
    const std::lock_guard lock(mutex_);
    winners_.forget();
    algorithms_.clear();
  }

 private:
  void search_what_is_missing(const MatmulProblem& problem, const MatmulArgs& g, cudaStream_t stream) {
    MatmulArgs sum = g;
    sum.beta = 1.0f;
    const bool written = winners_.find(bucket_of(g)) != nullptr;
    const bool added = !g.adds_follow || winners_.find(bucket_of(sum)) != nullptr;
    if ((written && added) || may_be_capturing(stream))
      return;
    if (!written)
      search(problem, g, stream);
    if (!added)
      search(problem, sum, stream);
  }

  const cublasLtMatmulAlgo_t* winner_of(const MatmulArgs& g) const {
    MatmulBucket bucket = bucket_of(g);
    const MatmulWinner* winner = winners_.find(bucket);
    bucket.adds = false;
    if (winner == nullptr)
      winner = winners_.find(bucket);
    return winner != nullptr ? &winner->algorithm : nullptr;
  }

  void search(const MatmulProblem& problem, const MatmulArgs& g, cudaStream_t stream) {
    const OutsideCapture outside;
    const MatmulWinner found = search_fastest(handle_, problem, g, stream);
    log_.push_back(found.log);
    winners_.add(bucket_of(g), found);
    algorithms_.clear();  // sums may have found their product's winner before their own
  }

  cublasLtMatmulAlgo_t first_proposal(const MatmulProblem& problem, const MatmulArgs& g) {
    const Key key = key_of(g, MatmulChoice::kHeuristic);
    if (const auto known = algorithms_.find(key); known != algorithms_.end())
      return known->second;
    return keep(key, proposals(handle_, problem, g, 1).front());
  }

  cublasLtMatmulAlgo_t keep(const Key& key, const cublasLtMatmulAlgo_t& algorithm) {
    if (algorithms_.size() >= kMostAlgorithms)
      algorithms_.clear();  // row counts that change with every batch; a second look-up gives the same answer
    return algorithms_.emplace(key, algorithm).first->second;
  }

  static constexpr std::size_t kMostAlgorithms = 8192;
  cublasLtHandle_t handle_ = nullptr;
  std::mutex mutex_;
  std::map<Key, cublasLtMatmulAlgo_t> algorithms_;
  MatmulWinners winners_;
  std::vector<MatmulSearch> log_;
};

/// Never destroyed: static destructors may still multiply.
struct DeviceStates {
  std::mutex mutex;
  std::map<int, DeviceState*> of_device;
};
DeviceStates& device_states() {
  static auto* states = new DeviceStates;
  return *states;
}

DeviceState& current_device() {
  int device = 0;
  ASSAY_CUDA_CHECK(cudaGetDevice(&device));
  DeviceStates& states = device_states();
  const std::lock_guard lock(states.mutex);
  const auto known = states.of_device.find(device);
  return known != states.of_device.end() ? *known->second
                                         : *states.of_device.emplace(device, new DeviceState).first->second;
}

/// What algorithms depend on beside the product: cublasLtMatmulAlgo_t holds for one version of the library.
std::string name_of_current_gpu() {
  int device = 0;
  cudaDeviceProp properties{};
  ASSAY_CUDA_CHECK(cudaGetDevice(&device));
  ASSAY_CUDA_CHECK(cudaGetDeviceProperties(&properties, device));
  std::string name = properties.name;
  std::ranges::replace_if(
      name, [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
  return name + "_" + std::to_string(properties.multiProcessorCount) + "_cublaslt_" +
         std::to_string(cublasLtGetVersion());
}

}  // namespace

void matmul(const MatmulArgs& args, cudaStream_t stream) {
  const MatmulArgs g = checked(args);
  if (g.m == 0 || g.n == 0)
    return;
  if (g.k == 0)
    return scale_matrix(g.d, g.out_type, {g.m, g.n, g.ldd}, g.beta, stream);
  DeviceState& device = current_device();
  const MatmulProblem problem(g);
  run_product(device.handle(), problem, g, device.algorithm(problem, g, stream), stream);
}

std::vector<MatmulSearch> matmul_searches() {
  DeviceStates& states = device_states();
  const std::lock_guard lock(states.mutex);
  std::vector<MatmulSearch> all;
  for (const auto& [device, state] : states.of_device) {
    const auto log = state->log();
    all.insert(all.end(), log.begin(), log.end());
  }
  return all;
}

std::vector<MatmulSearch> matmul_winners() {
  return current_device().winners();
}
void keep_matmul_winners(const std::filesystem::path& folder) {
  current_device().keep_in(folder / ("matmul_" + name_of_current_gpu() + ".txt"));
}
void forget_matmul_winners() {
  current_device().forget();
}

}  // namespace assay::kernels
