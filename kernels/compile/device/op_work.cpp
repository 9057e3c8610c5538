// SPDX-License-Identifier: Apache-2.0
#include "kernels/compile/device/op_work.hpp"

#include <stdexcept>

namespace assay::kernels::compile {
namespace {

const Buffer& buffer_of(const Program& program, const Operand& operand) {
  return program.buffers[static_cast<std::size_t>(operand.buffer)];
}

double elements_of(const Program& program, const Operand& operand) {
  const Buffer& buffer = buffer_of(program, operand);
  return static_cast<double>(buffer.rows) *
         static_cast<double>(operand.columns == 0 ? buffer.columns : operand.columns);
}

/// Half a byte, a byte for 64 and four bytes for 64 · 256.
constexpr double kPackedBytes = 0.5 + 1.0 / 64 + 4.0 / (64 * 256);

double bytes_of(const Program& program, const Operand& operand, std::size_t compute_bytes) {
  const double elements = elements_of(program, operand);
  switch (buffer_of(program, operand).element) {
    case Element::kCompute:
      return elements * static_cast<double>(compute_bytes);
    case Element::kFloat32:
    case Element::kInt32:
      return elements * 4;
    case Element::kInt64:
      return elements * 8;
    case Element::kPacked:
      return elements * kPackedBytes;
  }
  throw std::logic_error("op work: unknown element");
}

struct Product {
  std::int64_t m, n, k;
};
Product product_of(const Program& program, const Op& op) {
  const Buffer &a = buffer_of(program, op.in[0]), &d = buffer_of(program, op.out[0]);
  const std::int64_t a_columns = op.in[0].columns == 0 ? a.columns : op.in[0].columns;
  return {.m = d.rows,
          .n = op.out[0].columns == 0 ? d.columns : op.out[0].columns,
          .k = op.transpose_a ? a.rows : a_columns};
}

}  // namespace

OpWork work_of(const Program& program, const Op& op, std::size_t compute_bytes) {
  OpWork work;
  for (const Operand& operand : op.in) work.bytes += bytes_of(program, operand, compute_bytes);
  for (const Operand& operand : op.out) work.bytes += bytes_of(program, operand, compute_bytes);
  switch (op.kind) {
    case OpKind::kMatmul: {
      const Product p = product_of(program, op);
      work.flops = 2.0 * static_cast<double>(p.m) * static_cast<double>(p.n) * static_cast<double>(p.k);
      if (op.beta != 0.0f)
        work.bytes += bytes_of(program, op.out[0], compute_bytes);
      break;
    }
    case OpKind::kHeadLoss: {
      const double rows = static_cast<double>(buffer_of(program, op.in[0]).rows),
                   vocab = static_cast<double>(buffer_of(program, op.in[1]).rows);
      work.flops = 2.0 * 2.0 * rows * elements_of(program, op.in[1]);
      // Written by one product, read and written by the softmax pass, read by the other product.
      work.bytes += 4.0 * rows * vocab * static_cast<double>(compute_bytes);
      break;
    }
    case OpKind::kEmbed:  // one row of the table a token, not the table
      work.bytes += bytes_of(program, op.out[0], compute_bytes) - bytes_of(program, op.in[1], compute_bytes);
      break;
    default:
      break;
  }
  return work;
}

bool is_adapter_product(const Program& program, const Op& op) {
  const auto of_adapter = [&](const Operand& operand) {
    const Role role = buffer_of(program, operand).role;
    return role == Role::kCopy || role == Role::kGradient;
  };
  return op.kind == OpKind::kMatmul &&
         (of_adapter(op.in[0]) || of_adapter(op.in[1]) || of_adapter(op.out[0]));
}

const char* name_of(OpKind kind) {
  switch (kind) {
    case OpKind::kEmbed:
      return "embed";
    case OpKind::kRmsNorm:
      return "rms_norm";
    case OpKind::kAddRmsNorm:
      return "add_rms_norm";
    case OpKind::kDecode:
      return "decode";
    case OpKind::kMatmul:
      return "matmul";
    case OpKind::kRope:
      return "rope";
    case OpKind::kAttention:
      return "attention";
    case OpKind::kSwiglu:
      return "swiglu";
    case OpKind::kHeadLoss:
      return "head_loss";
    case OpKind::kRmsNormBackward:
      return "rms_norm_backward";
    case OpKind::kSwigluBackward:
      return "swiglu_backward";
    case OpKind::kAttentionBackward:
      return "attention_backward";
    case OpKind::kSquareSum:
      return "square_sum";
    case OpKind::kAdamW:
      return "adamw";
  }
  throw std::logic_error("op work: unknown operation");
}

std::string shape_of(const Program& program, const Op& op) {
  const Product p = product_of(program, op);
  const auto text = [](std::int64_t rows, std::int64_t columns) {
    return std::to_string(rows) + "×" + std::to_string(columns);
  };
  return text(p.m, p.k) + "·" + text(p.k, p.n) + (op.beta != 0.0f ? "+" : "");
}

}  // namespace assay::kernels::compile
