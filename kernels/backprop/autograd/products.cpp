// SPDX-License-Identifier: Apache-2.0
#include "kernels/backprop/autograd/products.hpp"

#include <ATen/ops/addmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <c10/util/Exception.h>

#include <algorithm>

#include "kernels/common/matmul.hpp"

namespace assay::kernels::backprop {
namespace {

constexpr std::int64_t kBlock = 8192;  // rows or columns of a vocabulary widened at a time on the CPU

bool is_16_bit(const at::Tensor& t) {
  return t.scalar_type() == at::kHalf || t.scalar_type() == at::kBFloat16;
}

/// From here on (a ten-thousandth of a second on a large GPU) a product is worth timing cuBLASLt's proposals
/// for: 2 to 8 % at the sizes of docs/backprop_fast_path.md. Smaller ones stay with torch's choice and its
/// workspace.
constexpr double kLeastTimedFlops = 0x1p36;

bool is_large(const at::Tensor& a, const at::Tensor& b) {
  return 2.0 * static_cast<double>(a.size(0)) * static_cast<double>(a.size(1)) *
             static_cast<double>(b.size(1)) >=
         kLeastTimedFlops;
}

MatmulType matmul_type(const at::Tensor& t) {
  return t.scalar_type() == at::kHalf       ? MatmulType::kFloat16
         : t.scalar_type() == at::kBFloat16 ? MatmulType::kBfloat16
                                            : MatmulType::kFloat32;
}

/// Whether the rows, or with `transposed` the columns, lie one after the other.
bool is_packed(const at::Tensor& t, bool transposed) {
  const int inner = transposed ? 0 : 1;
  return t.stride(inner) == 1 && t.stride(1 - inner) >= t.size(inner);
}

/// out [m, n] = beta · out + a·b of 16-bit operands on a GPU.
void timed_product(const at::Tensor& out, const at::Tensor& a, const at::Tensor& b, float beta,
                   bool adds_follow = false) {
  const auto readable = [](const at::Tensor& t) {
    return is_packed(t, false) || is_packed(t, true) ? t : t.contiguous();
  };
  const at::Tensor left = readable(a), right = readable(b);
  const bool transpose_a = !is_packed(left, false), transpose_b = !is_packed(right, false);
  const c10::cuda::CUDAGuard guard(out.device());
  matmul({.a = left.const_data_ptr(),
          .b = right.const_data_ptr(),
          .d = out.mutable_data_ptr(),
          .m = left.size(0),
          .n = right.size(1),
          .k = left.size(1),
          .lda = left.stride(transpose_a ? 1 : 0),
          .ldb = right.stride(transpose_b ? 1 : 0),
          .ldd = out.stride(0),
          .transpose_a = transpose_a,
          .transpose_b = transpose_b,
          .in_type = matmul_type(a),
          .out_type = matmul_type(out),
          .beta = beta,
          .choice = MatmulChoice::kTimed,
          .adds_follow = adds_follow},
         c10::cuda::getCurrentCUDAStream(out.device().index()));
}

/// Calls body(begin, length) for blocks that cover [0, count).
template <class Body>
void for_blocks(std::int64_t count, const Body& body) {
  for (std::int64_t begin = 0; begin < count; begin += kBlock) {
    body(begin, std::min(kBlock, count - begin));
  }
}

/// out [m, n] = beta · out + a·b with the operands widened. The smaller operand is widened once, the other in
/// blocks.
void widened(at::Tensor& out, const at::Tensor& a, const at::Tensor& b, double beta) {
  if (a.size(0) > b.size(1)) {
    const at::Tensor right = b.to(at::kFloat);
    for_blocks(a.size(0), [&](std::int64_t begin, std::int64_t length) {
      at::Tensor part = out.narrow(0, begin, length);
      at::addmm_out(part, part, a.narrow(0, begin, length).to(at::kFloat), right, beta);
    });
  } else {
    const at::Tensor left = a.to(at::kFloat);
    for_blocks(b.size(1), [&](std::int64_t begin, std::int64_t length) {
      at::Tensor part = out.narrow(1, begin, length);
      at::addmm_out(part, part, left, b.narrow(1, begin, length).to(at::kFloat), beta);
    });
  }
}

/// a·b in f32 (f64 for f64).
at::Tensor new_product(const at::Tensor& a, const at::Tensor& b, bool adds_follow) {
  if (!is_16_bit(a))
    return at::mm(a, b);
  if (a.is_cuda() && !is_large(a, b))
    return at::mm(a, b, at::kFloat);
  at::Tensor out = at::empty({a.size(0), b.size(1)}, a.options().dtype(at::kFloat));
  if (a.is_cuda()) {
    timed_product(out, a, b, 0.0f, adds_follow);
  } else {
    widened(out, a, b, 0.0);
  }
  return out;
}

}  // namespace

at::ScalarType accumulation_type(at::ScalarType type) {
  switch (type) {
    case at::kHalf:
    case at::kBFloat16:
    case at::kFloat:
      return at::kFloat;
    case at::kDouble:
      return at::kDouble;
    default:
      TORCH_CHECK_VALUE(false, "expected hidden states of f16, bf16, f32 or f64, found ", type);
  }
}

at::Tensor product(const at::Tensor& a, const at::Tensor& b) {
  return new_product(a, b, false);
}

at::Tensor begin_sum(const at::Tensor& a, const at::Tensor& b) {
  return new_product(a, b, true);
}

void add_product(at::Tensor& sum, const at::Tensor& a, const at::Tensor& b) {
  if (!is_16_bit(a)) {
    at::addmm_out(sum, sum, a, b);
  } else if (a.is_cuda() && is_large(a, b) && is_packed(sum, false)) {
    timed_product(sum, a, b, 1.0f);
  } else if (a.is_cuda()) {
    at::addmm_out(sum, sum, a, b, at::kFloat);
  } else {
    widened(sum, a, b, 1.0);
  }
}

void product_into(at::Tensor& out, const at::Tensor& a, const at::Tensor& b) {
  if (is_16_bit(a) && is_large(a, b) && is_packed(out, false)) {
    timed_product(out, a, b, 0.0f);
  } else if (out.scalar_type() == a.scalar_type()) {
    at::mm_out(out, a, b);
  } else {
    at::mm_out(out, a, b, out.scalar_type());
  }
}

}  // namespace assay::kernels::backprop
