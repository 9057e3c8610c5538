// SPDX-License-Identifier: Apache-2.0
#include "kernels/common/matmul_problem.hpp"

#include <algorithm>
#include <bit>
#include <stdexcept>

namespace assay::kernels {
namespace {

cudaDataType_t cuda_type(MatmulType type) {
  switch (type) {
    case MatmulType::kFloat16:
      return CUDA_R_16F;
    case MatmulType::kBfloat16:
      return CUDA_R_16BF;
    case MatmulType::kFloat32:
      return CUDA_R_32F;
  }
  throw std::invalid_argument("matmul: unknown type " + std::to_string(static_cast<int>(type)));
}

/// A row-major [rows, columns] is a column-major [columns, rows].
void create(cublasLtMatrixLayout_t* layout, MatmulType type, std::int64_t rows, std::int64_t columns,
            std::int64_t stride) {
  check_cublas(cublasLtMatrixLayoutCreate(layout, cuda_type(type), static_cast<std::uint64_t>(columns),
                                          static_cast<std::uint64_t>(rows), stride),
               "cublasLtMatrixLayoutCreate");
}

using Preference = Owned<cublasLtMatmulPreference_t, cublasLtMatmulPreferenceDestroy>;

template <class Value>
void prefer(const Preference& preference, cublasLtMatmulPreferenceAttributes_t attribute, Value value) {
  check_cublas(cublasLtMatmulPreferenceSetAttribute(preference, attribute, &value, sizeof(value)),
               "cublasLtMatmulPreferenceSetAttribute");
}

}  // namespace

void check_cublas(cublasStatus_t status, const std::string& what) {
  if (status != CUBLAS_STATUS_SUCCESS)
    throw std::runtime_error("matmul: " + what + " failed: " + cublasLtGetStatusName(status) + " (" +
                             cublasLtGetStatusString(status) + ")");
}

std::string shape_text(const MatmulArgs& g) {
  return "m=" + std::to_string(g.m) + " n=" + std::to_string(g.n) + " k=" + std::to_string(g.k) +
         " lda=" + std::to_string(g.lda) + " ldb=" + std::to_string(g.ldb) + " ldd=" + std::to_string(g.ldd) +
         (g.transpose_a ? " aᵀ" : "") + (g.transpose_b ? " bᵀ" : "") + " types " +
         std::to_string(static_cast<int>(g.in_type)) + "→" + std::to_string(static_cast<int>(g.out_type));
}

std::uint32_t alignment_of(const void* pointer) {
  const auto address = reinterpret_cast<std::uintptr_t>(pointer);
  return std::uint32_t{1} << std::min(8, std::countr_zero(address));
}

MatmulProblem::MatmulProblem(const MatmulArgs& g) {
  check_cublas(cublasLtMatmulDescCreate(desc.out(), CUBLAS_COMPUTE_32F, CUDA_R_32F),
               "cublasLtMatmulDescCreate");
  const auto transpose = [&](cublasLtMatmulDescAttributes_t attribute, bool yes) {
    const cublasOperation_t op = yes ? CUBLAS_OP_T : CUBLAS_OP_N;
    check_cublas(cublasLtMatmulDescSetAttribute(desc, attribute, &op, sizeof(op)),
                 "cublasLtMatmulDescSetAttribute");
  };
  transpose(CUBLASLT_MATMUL_DESC_TRANSA, g.transpose_b);
  transpose(CUBLASLT_MATMUL_DESC_TRANSB, g.transpose_a);
  create(first.out(), g.in_type, g.transpose_b ? g.n : g.k, g.transpose_b ? g.k : g.n, g.ldb);
  create(second.out(), g.in_type, g.transpose_a ? g.k : g.m, g.transpose_a ? g.m : g.k, g.lda);
  create(result.out(), g.out_type, g.m, g.n, g.ldd);
}

void run_product(cublasLtHandle_t handle, const MatmulProblem& problem, const MatmulArgs& g,
                 const cublasLtMatmulAlgo_t& algorithm, cudaStream_t stream) {
  check_cublas(
      cublasLtMatmul(handle, problem.desc, &g.alpha, g.b, problem.first, g.a, problem.second, &g.beta, g.d,
                     problem.result, g.d, problem.result, &algorithm, g.workspace, g.workspace_bytes, stream),
      "cublasLtMatmul for " + shape_text(g));
}

std::vector<cublasLtMatmulAlgo_t> proposals(cublasLtHandle_t handle, const MatmulProblem& problem,
                                            const MatmulArgs& g, int most) {
  Preference preference;
  check_cublas(cublasLtMatmulPreferenceCreate(preference.out()), "cublasLtMatmulPreferenceCreate");
  prefer(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, std::uint64_t{g.workspace_bytes});
  // Split products are summed in f32 from the workspace; the other schemes round partial sums to the result's
  // type.
  prefer(preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
         std::uint32_t{CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE});
  prefer(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, alignment_of(g.b));
  prefer(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, alignment_of(g.a));
  prefer(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, alignment_of(g.d));
  prefer(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, alignment_of(g.d));
  std::vector<cublasLtMatmulHeuristicResult_t> found(static_cast<std::size_t>(most));
  int count = 0;
  const cublasStatus_t status =
      cublasLtMatmulAlgoGetHeuristic(handle, problem.desc, problem.first, problem.second, problem.result,
                                     problem.result, preference, most, found.data(), &count);
  if (status == CUBLAS_STATUS_NOT_SUPPORTED || (status == CUBLAS_STATUS_SUCCESS && count == 0))
    throw std::runtime_error("matmul: cuBLASLt has no algorithm on this GPU for " + shape_text(g));
  check_cublas(status, "cublasLtMatmulAlgoGetHeuristic for " + shape_text(g));
  std::vector<cublasLtMatmulAlgo_t> algorithms;
  for (int i = 0; i < count; ++i) {
    if (found[static_cast<std::size_t>(i)].state == CUBLAS_STATUS_SUCCESS)
      algorithms.push_back(found[static_cast<std::size_t>(i)].algo);
  }
  if (algorithms.empty())
    throw std::runtime_error("matmul: cuBLASLt has no algorithm on this GPU for " + shape_text(g));
  return algorithms;
}

bool can_run(cublasLtHandle_t handle, const MatmulProblem& problem, const MatmulArgs& g,
             const cublasLtMatmulAlgo_t& algorithm) {
  cublasLtMatmulHeuristicResult_t checked{};
  return cublasLtMatmulAlgoCheck(handle, problem.desc, problem.first, problem.second, problem.result,
                                 problem.result, &algorithm, &checked) == CUBLAS_STATUS_SUCCESS &&
         checked.workspaceSize <= g.workspace_bytes;
}

}  // namespace assay::kernels
