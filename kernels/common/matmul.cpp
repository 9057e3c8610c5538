// SPDX-License-Identifier: Apache-2.0
// cuBLASLt is column-major: a row-major product d = op(a)·op(b) is its dᵀ = op(b)ᵀ·op(a)ᵀ, so b is its first
// operand and every stored matrix changes sides without being moved.
#include "kernels/common/matmul.hpp"

#include <cublasLt.h>

#include <algorithm>
#include <array>
#include <bit>
#include <compare>
#include <map>
#include <mutex>
#include <stdexcept>
#include <string>

#include "kernels/common/cuda_check.hpp"
#include "kernels/common/scale_matrix.hpp"

namespace assay::kernels {
namespace {

void check_cublas(cublasStatus_t status, const std::string& what) {
  if (status != CUBLAS_STATUS_SUCCESS)
    throw std::runtime_error("matmul: " + what + " failed: " + cublasLtGetStatusName(status) + " (" +
                             cublasLtGetStatusString(status) + ")");
}

std::string shape_text(const MatmulArgs& g) {
  return "m=" + std::to_string(g.m) + " n=" + std::to_string(g.n) + " k=" + std::to_string(g.k) +
         " lda=" + std::to_string(g.lda) + " ldb=" + std::to_string(g.ldb) + " ldd=" + std::to_string(g.ldd) +
         " types " + std::to_string(static_cast<int>(g.in_type)) + "→" +
         std::to_string(static_cast<int>(g.out_type));
}

std::invalid_argument refuse(const std::string& what) {
  return std::invalid_argument("matmul: " + what);
}

cudaDataType_t cuda_type(MatmulType type) {
  switch (type) {
    case MatmulType::kFloat16:
      return CUDA_R_16F;
    case MatmulType::kBfloat16:
      return CUDA_R_16BF;
    case MatmulType::kFloat32:
      return CUDA_R_32F;
  }
  throw refuse("expected kFloat16, kBfloat16 or kFloat32, found type " +
               std::to_string(static_cast<int>(type)));
}

std::size_t size_of(MatmulType type) {
  return cuda_type(type) == CUDA_R_32F ? 4 : 2;
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

/// What cuBLASLt may assume of an address, as the power of two it asks for.
std::uint32_t alignment_of(const void* pointer) {
  const auto address = reinterpret_cast<std::uintptr_t>(pointer);
  return std::uint32_t{1} << std::min(8, std::countr_zero(address));
}

/// All that the choice of an algorithm depends on.
struct Key {
  std::array<std::int64_t, 6> sizes;
  std::array<int, 5> layout;
  std::array<std::uint32_t, 3> alignment;
  std::size_t workspace_bytes;
  auto operator<=>(const Key&) const = default;
};

Key key_of(const MatmulArgs& g) {
  return {{g.m, g.n, g.k, g.lda, g.ldb, g.ldd},
          {g.transpose_a, g.transpose_b, static_cast<int>(g.in_type), static_cast<int>(g.out_type),
           g.beta != 0.0f},
          {alignment_of(g.a), alignment_of(g.b), alignment_of(g.d)},
          g.workspace_bytes};
}

template <class Handle, cublasStatus_t (*kDestroy)(Handle)>
class Owned {
 public:
  Owned() = default;
  ~Owned() {
    if (handle_ != nullptr)
      kDestroy(handle_);
  }
  Owned(const Owned&) = delete;
  Owned& operator=(const Owned&) = delete;
  operator Handle() const { return handle_; }  // NOLINT: stands for the handle in cuBLASLt's calls
  Handle* out() { return &handle_; }

 private:
  Handle handle_ = nullptr;
};

using MatmulDesc = Owned<cublasLtMatmulDesc_t, cublasLtMatmulDescDestroy>;
using Layout = Owned<cublasLtMatrixLayout_t, cublasLtMatrixLayoutDestroy>;
using Preference = Owned<cublasLtMatmulPreference_t, cublasLtMatmulPreferenceDestroy>;

/// The product in cuBLASLt's words.
struct Problem {
  explicit Problem(const MatmulArgs& g) {
    check_cublas(cublasLtMatmulDescCreate(desc.out(), CUBLAS_COMPUTE_32F, CUDA_R_32F),
                 "cublasLtMatmulDescCreate");
    const auto transpose = [&](cublasLtMatmulDescAttributes_t attribute, bool yes) {
      const cublasOperation_t op = yes ? CUBLAS_OP_T : CUBLAS_OP_N;
      check_cublas(cublasLtMatmulDescSetAttribute(desc, attribute, &op, sizeof(op)),
                   "cublasLtMatmulDescSetAttribute");
    };
    transpose(CUBLASLT_MATMUL_DESC_TRANSA, g.transpose_b);
    transpose(CUBLASLT_MATMUL_DESC_TRANSB, g.transpose_a);
    create(first, g.in_type, g.transpose_b ? g.n : g.k, g.transpose_b ? g.k : g.n, g.ldb);
    create(second, g.in_type, g.transpose_a ? g.k : g.m, g.transpose_a ? g.m : g.k, g.lda);
    create(result, g.out_type, g.m, g.n, g.ldd);
  }

  MatmulDesc desc;
  Layout first, second, result;

 private:
  /// A row-major [rows, columns] is a column-major [columns, rows].
  static void create(Layout& layout, MatmulType type, std::int64_t rows, std::int64_t columns,
                     std::int64_t stride) {
    check_cublas(
        cublasLtMatrixLayoutCreate(layout.out(), cuda_type(type), static_cast<std::uint64_t>(columns),
                                   static_cast<std::uint64_t>(rows), stride),
        "cublasLtMatrixLayoutCreate");
  }
};

cublasLtMatmulAlgo_t first_choice(cublasLtHandle_t handle, const Problem& problem, const MatmulArgs& g) {
  Preference preference;
  check_cublas(cublasLtMatmulPreferenceCreate(preference.out()), "cublasLtMatmulPreferenceCreate");
  const auto prefer = [&](cublasLtMatmulPreferenceAttributes_t attribute, auto value) {
    check_cublas(cublasLtMatmulPreferenceSetAttribute(preference, attribute, &value, sizeof(value)),
                 "cublasLtMatmulPreferenceSetAttribute");
  };
  prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, std::uint64_t{g.workspace_bytes});
  // Split products are summed in f32 from the workspace; the other schemes round partial sums to the result's
  // type.
  prefer(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, std::uint32_t{CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE});
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, alignment_of(g.b));
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, alignment_of(g.a));
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, alignment_of(g.d));
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, alignment_of(g.d));
  cublasLtMatmulHeuristicResult_t found{};
  int count = 0;
  const cublasStatus_t status =
      cublasLtMatmulAlgoGetHeuristic(handle, problem.desc, problem.first, problem.second, problem.result,
                                     problem.result, preference, 1, &found, &count);
  if (status == CUBLAS_STATUS_NOT_SUPPORTED || (status == CUBLAS_STATUS_SUCCESS && count == 0))
    throw std::runtime_error("matmul: cuBLASLt has no algorithm on this GPU for " + shape_text(g));
  check_cublas(status, "cublasLtMatmulAlgoGetHeuristic for " + shape_text(g));
  return found.algo;
}

/// Of one device, for as long as the process lives: handles hold device memory that must not go while a call
/// runs.
class DeviceState {
 public:
  DeviceState() {
    // Creating allocates, which a stream capture of this thread would forbid; none of it belongs to the
    // capture.
    cudaStreamCaptureMode mode = cudaStreamCaptureModeRelaxed;
    ASSAY_CUDA_CHECK(cudaThreadExchangeStreamCaptureMode(&mode));
    const cublasStatus_t status = cublasLtCreate(&handle_);
    ASSAY_CUDA_CHECK(cudaThreadExchangeStreamCaptureMode(&mode));
    check_cublas(status, "cublasLtCreate");
  }
  cublasLtHandle_t handle() const { return handle_; }

  cublasLtMatmulAlgo_t algorithm(const Problem& problem, const MatmulArgs& g) {
    const Key key = key_of(g);
    const std::lock_guard lock(mutex_);
    if (const auto known = algorithms_.find(key); known != algorithms_.end())
      return known->second;
    if (algorithms_.size() >= kMostAlgorithms)
      algorithms_.clear();  // row counts that change with every batch; a second look-up gives the same answer
    return algorithms_.emplace(key, first_choice(handle_, problem, g)).first->second;
  }

 private:
  static constexpr std::size_t kMostAlgorithms = 8192;
  cublasLtHandle_t handle_ = nullptr;
  std::mutex mutex_;
  std::map<Key, cublasLtMatmulAlgo_t> algorithms_;
};

DeviceState& current_device() {
  static std::mutex mutex;
  static std::map<int, DeviceState*> states;  // never destroyed: static destructors may still multiply
  int device = 0;
  ASSAY_CUDA_CHECK(cudaGetDevice(&device));
  const std::lock_guard lock(mutex);
  const auto known = states.find(device);
  return known != states.end() ? *known->second : *states.emplace(device, new DeviceState).first->second;
}

}  // namespace

void matmul(const MatmulArgs& args, cudaStream_t stream) {
  const MatmulArgs g = checked(args);
  if (g.m == 0 || g.n == 0)
    return;
  if (g.k == 0)
    return scale_matrix(g.d, g.out_type, {g.m, g.n, g.ldd}, g.beta, stream);
  DeviceState& device = current_device();
  const Problem problem(g);
  const cublasLtMatmulAlgo_t algorithm = device.algorithm(problem, g);
  check_cublas(cublasLtMatmul(device.handle(), problem.desc, &g.alpha, g.b, problem.first, g.a,
                              problem.second, &g.beta, g.d, problem.result, g.d, problem.result, &algorithm,
                              g.workspace, g.workspace_bytes, stream),
               "cublasLtMatmul for " + shape_text(g));
}

}  // namespace assay::kernels
