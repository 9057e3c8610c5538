// SPDX-License-Identifier: Apache-2.0
#include "kernels/compile/device/op_arguments.hpp"

#include <stdexcept>

namespace assay::kernels::compile {
namespace {

llama::InputRows in_rows(const BoundProgram& bound, const Operand& operand) {
  return {bound.address(operand), bound.buffer(operand).columns};
}
llama::OutputRows out_rows(const BoundProgram& bound, const Operand& operand) {
  return {bound.address(operand), bound.buffer(operand).columns};
}

MatmulType type_of(const BoundProgram& bound, const Operand& operand) {
  return bound.buffer(operand).element == Element::kFloat32 ? MatmulType::kFloat32
                                                            : matmul_type(bound.compute);
}

}  // namespace

std::size_t element_bytes(Element element, ComputeType compute) {
  switch (element) {
    case Element::kCompute:
      return llama::size_of(compute);
    case Element::kFloat32:
    case Element::kInt32:
      return 4;
    case Element::kInt64:
      return 8;
    case Element::kPacked:
      break;
  }
  throw std::logic_error("device step: a packed weight is not addressed by elements");
}

std::byte* BoundProgram::address(const Operand& operand) const {
  std::byte* const begin = addresses[static_cast<std::size_t>(operand.buffer)];
  if (begin == nullptr)
    throw std::invalid_argument("device step: expected memory for '" + buffer(operand).name +
                                "', found none: bind it");
  return begin + static_cast<std::size_t>(operand.column) * element_bytes(buffer(operand).element, compute);
}

std::int64_t columns_of(const BoundProgram& bound, const Operand& operand) {
  return operand.columns == 0 ? bound.buffer(operand).columns : operand.columns;
}

MatmulArgs matmul_of(const BoundProgram& bound, const Op& op) {
  const Operand &a = op.in[0], &b = op.in[1], &d = op.out[0];
  const std::int64_t a_rows = bound.buffer(a).rows, a_columns = columns_of(bound, a);
  const std::int64_t b_rows = bound.buffer(b).rows, b_columns = columns_of(bound, b);
  MatmulArgs args;
  args.a = bound.address(a), args.b = bound.address(b), args.d = bound.address(d);
  args.m = op.transpose_a ? a_columns : a_rows;
  args.k = op.transpose_a ? a_rows : a_columns;
  args.n = op.transpose_b ? b_rows : b_columns;
  const std::int64_t inner = op.transpose_b ? b_columns : b_rows;
  if (inner != args.k || bound.buffer(d).rows != args.m || columns_of(bound, d) != args.n)
    throw std::logic_error("device step: expected a product of [m, k] and [k, n], found [" +
                           std::to_string(args.m) + ", " + std::to_string(args.k) + "] and [" +
                           std::to_string(inner) + ", " + std::to_string(args.n) + "] into [" +
                           std::to_string(bound.buffer(d).rows) + ", " +
                           std::to_string(columns_of(bound, d)) + "]");
  args.lda = bound.buffer(a).columns, args.ldb = bound.buffer(b).columns, args.ldd = bound.buffer(d).columns;
  args.transpose_a = op.transpose_a, args.transpose_b = op.transpose_b;
  args.in_type = type_of(bound, a), args.out_type = type_of(bound, d);
  if (type_of(bound, b) != args.in_type)
    throw std::logic_error("device step: expected a product of one type, found '" + bound.buffer(a).name +
                           "' and '" + bound.buffer(b).name + "'");
  args.alpha = op.alpha, args.beta = op.beta;
  return args;
}

nf4::DequantizeArgs dequantize_of(const BoundProgram& bound, const Op& op) {
  const auto found = bound.packed.find(op.in[0].buffer);
  if (found == bound.packed.end())
    throw std::invalid_argument("device step: expected a packed weight for '" + bound.buffer(op.in[0]).name +
                                "', found none: bind it");
  return {.weights = found->second,
          .out = bound.address(op.out[0]),
          .out_type = scalar_type(bound.compute),
          .weights_are_constant = true};
}

Embed embed_of(const BoundProgram& bound, const Op& op) {
  return {.tokens = bound.at<std::int64_t>(op.in[0]),
          .embedding = bound.address(op.in[1]),
          .out = bound.address(op.out[0]),
          .rows = bound.buffer(op.out[0]).rows,
          .vocab = bound.buffer(op.in[1]).rows,
          .columns = bound.buffer(op.in[1]).columns};
}

llama::RmsNormForward rms_norm_of(const BoundProgram& bound, const Op& op) {
  const bool adds = op.kind == OpKind::kAddRmsNorm;
  const std::size_t y = adds ? 1 : 0;
  llama::RmsNormForward args;
  args.type = bound.compute;
  args.rows = bound.buffer(op.in[0]).rows, args.hidden = bound.buffer(op.in[0]).columns;
  args.x = in_rows(bound, op.in[0]);
  if (adds)
    args.residual = in_rows(bound, op.in[1]), args.sum = out_rows(bound, op.out[0]);
  args.weight = bound.address(op.in[adds ? 2 : 1]);
  args.eps = static_cast<float>(bound.program.norm_epsilon);
  args.y = out_rows(bound, op.out[y]);
  args.rstd = bound.at<float>(op.out[y + 1]);
  return args;
}

llama::RmsNormBackward rms_norm_backward_of(const BoundProgram& bound, const Op& op) {
  llama::RmsNormBackward args;
  args.type = bound.compute;
  args.rows = bound.buffer(op.in[0]).rows, args.hidden = bound.buffer(op.in[0]).columns;
  args.dy = in_rows(bound, op.in[0]);
  args.h = in_rows(bound, op.in[1]);
  args.rstd = bound.at<float>(op.in[2]);
  args.weight = bound.address(op.in[3]);
  if (op.in.size() > 4)
    args.dsum = in_rows(bound, op.in[4]);
  args.dh = out_rows(bound, op.out[0]);
  return args;
}

llama::Rope rope_of(const BoundProgram& bound, const Op& op) {
  const Buffer& x = bound.buffer(op.in[0]);
  llama::Rope args;
  args.type = bound.compute;
  args.length = x.rows;
  args.head_dim = 2 * bound.buffer(op.in[2]).rows;
  args.q = {
      .in = bound.address(op.in[0]), .out = bound.address(op.out[0]), .heads = x.columns / args.head_dim};
  args.q.in_strides = args.q.out_strides = llama::token_major(x.rows, args.q.heads, args.head_dim);
  args.positions = bound.address(op.in[1]);
  args.position_type = llama::PositionType::kInt32;
  args.inverse_frequency = bound.at<float>(op.in[2]);
  args.backward = op.reversed;
  return args;
}

llama::SwigluForward swiglu_of(const BoundProgram& bound, const Op& op) {
  return {.type = bound.compute,
          .rows = bound.buffer(op.out[0]).rows,
          .columns = bound.buffer(op.out[0]).columns,
          .gate = in_rows(bound, op.in[0]),
          .up = in_rows(bound, op.in[1]),
          .y = out_rows(bound, op.out[0])};
}

llama::SwigluBackward swiglu_backward_of(const BoundProgram& bound, const Op& op) {
  return {.type = bound.compute,
          .rows = bound.buffer(op.out[0]).rows,
          .columns = bound.buffer(op.out[0]).columns,
          .gate = in_rows(bound, op.in[0]),
          .up = in_rows(bound, op.in[1]),
          .dy = in_rows(bound, op.in[2]),
          .dgate = out_rows(bound, op.out[0]),
          .dup = out_rows(bound, op.out[1])};
}

}  // namespace assay::kernels::compile
