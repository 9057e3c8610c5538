// SPDX-License-Identifier: Apache-2.0
#include "kernels/backprop/autograd/products.hpp"

#include <ATen/ops/addmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>
#include <c10/util/Exception.h>

#include <algorithm>

namespace assay::kernels::backprop {
namespace {

constexpr std::int64_t kBlock = 8192;  // rows or columns of a vocabulary widened at a time on the CPU

bool is_16_bit(const at::Tensor& t) {
  return t.scalar_type() == at::kHalf || t.scalar_type() == at::kBFloat16;
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
  if (!is_16_bit(a))
    return at::mm(a, b);
  if (a.is_cuda())
    return at::mm(a, b, at::kFloat);
  at::Tensor out = at::empty({a.size(0), b.size(1)}, a.options().dtype(at::kFloat));
  widened(out, a, b, 0.0);
  return out;
}

void add_product(at::Tensor& sum, const at::Tensor& a, const at::Tensor& b) {
  if (!is_16_bit(a)) {
    at::addmm_out(sum, sum, a, b);
  } else if (a.is_cuda()) {
    at::addmm_out(sum, sum, a, b, at::kFloat);
  } else {
    widened(sum, a, b, 1.0);
  }
}

}  // namespace assay::kernels::backprop
