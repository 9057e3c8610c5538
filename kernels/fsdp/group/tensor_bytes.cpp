// SPDX-License-Identifier: Apache-2.0
#include "kernels/fsdp/group/tensor_bytes.hpp"

#include <ATen/ops/maximum.h>
#include <ATen/ops/minimum.h>

namespace assay::kernels::fsdp {
namespace {

void require_plain(const at::Tensor& tensor) {
  TORCH_CHECK_VALUE(tensor.device().is_cpu() && tensor.is_contiguous() && tensor.layout() == at::kStrided,
                    "expected a contiguous CPU tensor, found one on ", tensor.device(), " of sizes ",
                    tensor.sizes(), " and strides ", tensor.strides());
}

class FinishedWork : public c10d::Work {
 public:
  FinishedWork(c10d::OpType type, int rank, std::vector<at::Tensor> result)
      : Work(rank, type), result_(std::move(result)) {
    finish();
  }
  std::vector<at::Tensor> result() override { return result_; }

 private:
  std::vector<at::Tensor> result_;
};

}  // namespace

std::span<const std::byte> bytes_to_send(const at::Tensor& tensor) {
  require_plain(tensor);
  return {static_cast<const std::byte*>(tensor.const_data_ptr()), tensor.nbytes()};
}

std::span<std::byte> bytes_to_receive(const at::Tensor& tensor) {
  require_plain(tensor);
  return {static_cast<std::byte*>(tensor.mutable_data_ptr()), tensor.nbytes()};
}

at::Tensor only(const std::vector<at::Tensor>& tensors, const char* operation) {
  TORCH_CHECK_VALUE(tensors.size() == 1, operation, ": expected one tensor, found ", tensors.size());
  require_plain(tensors[0]);
  return tensors[0];
}

void require_like(const at::Tensor& tensor, const at::Tensor& other, std::int64_t elements,
                  const char* operation) {
  require_plain(tensor);
  require_plain(other);
  TORCH_CHECK_VALUE(tensor.scalar_type() == other.scalar_type() && tensor.numel() == elements, operation,
                    ": expected ", elements, " elements of ", other.scalar_type(), ", found ", tensor.numel(),
                    " of ", tensor.scalar_type());
}

void require_other(int rank, int size, int peer, int tag, const char* operation) {
  TORCH_CHECK_VALUE(peer >= 0 && peer < size && peer != rank, operation, ": expected another rank below ",
                    size, ", found ", peer);
  TORCH_CHECK_VALUE(tag >= 0, operation, ": expected a tag of at least 0, found ", tag);
}

at::Tensor reduce_in_order(const std::vector<at::Tensor>& parts, const c10d::ReduceOp& op) {
  using c10d::ReduceOp;
  at::Tensor result = parts.at(0).clone();
  for (std::size_t i = 1; i < parts.size(); ++i) {
    switch (static_cast<ReduceOp::RedOpType>(op)) {
      case ReduceOp::SUM:
        result.add_(parts[i]);
        break;
      case ReduceOp::MIN:
        result = at::minimum(result, parts[i]);
        break;
      case ReduceOp::MAX:
        result = at::maximum(result, parts[i]);
        break;
      default:
        TORCH_CHECK_VALUE(false, "expected a reduction by SUM, MIN or MAX, found operation ",
                          static_cast<int>(op.op_), "; divide the sum yourself");
    }
  }
  return result;
}

c10::intrusive_ptr<c10d::Work> finished(c10d::OpType type, int rank, std::vector<at::Tensor> result) {
  return c10::make_intrusive<FinishedWork>(type, rank, std::move(result));
}

}  // namespace assay::kernels::fsdp
