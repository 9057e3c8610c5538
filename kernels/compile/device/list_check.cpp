// SPDX-License-Identifier: Apache-2.0
#include "kernels/compile/device/list_check.hpp"

#include <stdexcept>
#include <string>

namespace assay::kernels::compile {
namespace {

struct Operands {
  std::size_t least_in, most_in, out;
};
Operands operands_of(OpKind kind) {
  switch (kind) {
    case OpKind::kEmbed:
      return {2, 2, 1};
    case OpKind::kRmsNorm:
      return {2, 2, 2};
    case OpKind::kAddRmsNorm:
      return {3, 3, 3};
    case OpKind::kDecode:
      return {1, 1, 1};
    case OpKind::kMatmul:
      return {2, 2, 1};
    case OpKind::kRope:
      return {3, 3, 1};
    case OpKind::kAttention:
      return {4, 4, 2};
    case OpKind::kSwiglu:
      return {2, 2, 1};
    case OpKind::kHeadLoss:
      return {3, 3, 2};
    case OpKind::kRmsNormBackward:
      return {4, 5, 1};
    case OpKind::kSwigluBackward:
      return {3, 3, 2};
    case OpKind::kAttentionBackward:
      return {7, 7, 3};
    case OpKind::kSquareSum:
      return {1, 1, 1};
    case OpKind::kAdamW:
      return {3, 3, 4};
  }
  throw std::logic_error("device step: unknown operation " + std::to_string(static_cast<int>(kind)));
}

}  // namespace

void check_operands(const Program& program) {
  for (std::size_t i = 0; i < program.ops.size(); ++i) {
    const Op& op = program.ops[i];
    const Operands expected = operands_of(op.kind);
    if (op.in.size() < expected.least_in || op.in.size() > expected.most_in || op.out.size() != expected.out)
      throw std::logic_error("device step: expected operation " + std::to_string(i) + " to have " +
                             std::to_string(expected.least_in) + " to " + std::to_string(expected.most_in) +
                             " inputs and " + std::to_string(expected.out) + " results, found " +
                             std::to_string(op.in.size()) + " and " + std::to_string(op.out.size()));
  }
}

}  // namespace assay::kernels::compile
