// SPDX-License-Identifier: Apache-2.0
#include "kernels/torch/llama_rows.hpp"

#include <c10/util/Exception.h>

namespace assay::kernels::torch {
namespace {

using at::Tensor;

std::int64_t stride_of(const Tensor& rows) {
  return rows.size(0) > 1 ? rows.stride(0) : 0;  // 0: packed
}

}  // namespace

void check_float(const Tensor& t, const char* what) {
  const at::ScalarType type = t.scalar_type();
  TORCH_CHECK_TYPE(type == at::kHalf || type == at::kBFloat16 || type == at::kFloat || type == at::kDouble,
                   "expected ", what, " of float16, bfloat16, float32 or float64, found ", type);
}

void check_alike(const Tensor& t, const char* what, const Tensor& like, const char* like_what) {
  TORCH_CHECK_TYPE(t.scalar_type() == like.scalar_type(), "expected ", what, " of ", like_what, "'s type ",
                   like.scalar_type(), ", found ", t.scalar_type(), "; convert one of them");
  TORCH_CHECK_VALUE(t.device() == like.device(), "expected ", what, " on ", like_what, "'s device ",
                    like.device(), ", found ", t.device());
}

void check_same_sizes(const Tensor& t, const char* what, const Tensor& like, const char* like_what) {
  TORCH_CHECK_VALUE(t.sizes() == like.sizes(), "expected ", what, " of ", like_what, "'s shape ",
                    like.sizes(), ", found ", t.sizes());
}

llama::ElementType element_type(const Tensor& t) {
  switch (t.scalar_type()) {
    case at::kHalf:
      return llama::ElementType::kFloat16;
    case at::kBFloat16:
      return llama::ElementType::kBfloat16;
    case at::kFloat:
      return llama::ElementType::kFloat32;
    default:
      TORCH_CHECK_TYPE(false, "expected float16, bfloat16 or float32, found ", t.scalar_type());
  }
}

Tensor rows_of(const Tensor& t) {
  const std::int64_t columns = t.size(-1);
  std::int64_t rows = 1;
  for (const std::int64_t size : t.sizes().slice(0, static_cast<std::size_t>(t.dim() - 1))) rows *= size;
  const Tensor matrix = t.reshape({rows, columns});
  const bool contiguous_rows = columns <= 1 || matrix.stride(1) == 1;
  const bool rows_apart = rows <= 1 || matrix.stride(0) >= columns;  // an expanded row lies on itself
  return contiguous_rows && rows_apart ? matrix : matrix.clone(at::MemoryFormat::Contiguous);
}

llama::InputRows input_rows(const Tensor& rows) {
  if (!rows.defined())
    return {};
  return {rows.const_data_ptr(), stride_of(rows)};
}

llama::OutputRows output_rows(const Tensor& rows) {
  if (!rows.defined())
    return {};
  return {rows.mutable_data_ptr(), stride_of(rows)};
}

}  // namespace assay::kernels::torch
