// SPDX-License-Identifier: Apache-2.0
// A product in cuBLASLt's words: what matmul.cpp and matmul_search.cpp share. Not for callers of matmul().
//
// cuBLASLt is column-major: a row-major product d = op(a)·op(b) is its dᵀ = op(b)ᵀ·op(a)ᵀ, so b is its first
// operand and every stored matrix changes sides without being moved.
#pragma once

#include <cublasLt.h>

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/common/matmul.hpp"

namespace assay::kernels {

/// Throws std::runtime_error that names the call and cuBLASLt's reason.
void check_cublas(cublasStatus_t status, const std::string& what);

/// "m=… n=… k=… lda=… …", for messages and logs.
std::string shape_text(const MatmulArgs& args);

/// What cuBLASLt may assume of an address, as the power of two it asks for: 1 to 256.
std::uint32_t alignment_of(const void* pointer);

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

/// Of checked arguments: strides filled in, no size 0.
struct MatmulProblem {
  explicit MatmulProblem(const MatmulArgs& args);

  Owned<cublasLtMatmulDesc_t, cublasLtMatmulDescDestroy> desc;
  Owned<cublasLtMatrixLayout_t, cublasLtMatrixLayoutDestroy> first, second, result;
};

/// Enqueues the product with a given algorithm.
void run_product(cublasLtHandle_t handle, const MatmulProblem& problem, const MatmulArgs& args,
                 const cublasLtMatmulAlgo_t& algorithm, cudaStream_t stream);

/// cuBLASLt's proposals, best guess first, at least one and at most `most`; none needs more workspace than
/// args give. Throws std::runtime_error where there is none for this GPU.
std::vector<cublasLtMatmulAlgo_t> proposals(cublasLtHandle_t handle, const MatmulProblem& problem,
                                            const MatmulArgs& args, int most);

/// Whether an algorithm that was found for another product of the same layout can run this one.
bool can_run(cublasLtHandle_t handle, const MatmulProblem& problem, const MatmulArgs& args,
             const cublasLtMatmulAlgo_t& algorithm);

}  // namespace assay::kernels
