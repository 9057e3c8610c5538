// SPDX-License-Identifier: Apache-2.0
// What the socket backend needs of tensors: their bytes, checks of a call's arguments, sums in order, a
// finished Work.
#pragma once

#include <cstddef>
#include <span>
#include <torch/csrc/distributed/c10d/Types.hpp>
#include <torch/csrc/distributed/c10d/Work.hpp>
#include <vector>

namespace assay::kernels::fsdp {

/// Contiguous CPU tensors only; a c10::Error (ValueError) otherwise.
std::span<const std::byte> bytes_to_send(const at::Tensor& tensor);
std::span<std::byte> bytes_to_receive(const at::Tensor& tensor);

/// The one tensor of a call.
at::Tensor only(const std::vector<at::Tensor>& tensors, const char* operation);
/// `tensor` has `elements` elements of the type of `other`, both contiguous on the CPU.
void require_like(const at::Tensor& tensor, const at::Tensor& other, std::int64_t elements,
                  const char* operation);
/// Another rank of the group, and a tag from 0 on.
void require_other(int rank, int size, int peer, int tag, const char* operation);

/// parts[0] op parts[1] op …, each step rounded to their type. SUM, MIN and MAX.
at::Tensor reduce_in_order(const std::vector<at::Tensor>& parts, const c10d::ReduceOp& op);

c10::intrusive_ptr<c10d::Work> finished(c10d::OpType type, int rank, std::vector<at::Tensor> result);

}  // namespace assay::kernels::fsdp
