// SPDX-License-Identifier: Apache-2.0
// Runs a step's list of operations with torch, one after the other, on a CPU or a GPU: what the captured step
// is held against, and how the list itself is tested.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "kernels/compile/program.hpp"

namespace assay::kernels::compile {

/// A 4-bit weight as bitsandbytes keeps it, on the CPU.
struct PackedTensors {
  at::Tensor packed, absmax_codes, nested_absmax, nested_code,
      nested_offset;  ///< uint8, uint8, f32, f32 [256], f32 [1]
};

class EagerStep {
 public:
  /// The arena is one tensor on `device`, its buffers lie where plan_arena puts them. `compute`: f16, bf16 or
  /// f32. On a GPU everything that is bound lies there too, and decoding is the caller's (run_with).
  EagerStep(Program program, at::ScalarType compute, at::Device device = at::kCPU);

  /// Gives a buffer outside the arena its tensor: contiguous, of the buffer's type and size (any shape), kept
  /// by reference, so what the step writes the caller sees. Results, copies, gradients and moments that are
  /// not given are made (zeros). c10::Error (ValueError) where it does not fit.
  void bind(const std::string& name, const at::Tensor& tensor);
  void bind(const std::string& name, const PackedTensors& weight);
  /// Runs `instead` for every operation of this kind; `of` gives it the operation's tensors. For weights that
  /// are not whole on this process.
  void run_with(OpKind kind, std::function<void(const Op&)> instead) { instead_[kind] = std::move(instead); }
  /// Throws c10::Error naming a buffer that has no tensor.
  at::Tensor of(const Operand& operand) const;
  /// Adapters in the compute type, as the first step reads them.
  void copy_adapters();

  /// One step. Throws c10::Error naming a buffer that has no tensor.
  void run();

  at::Tensor tensor(const std::string& name) const;
  std::size_t arena_bytes() const { return plan_.bytes; }

 private:
  at::ScalarType type_of(Element element) const;
  void run(const Op& op);
  void decode(const Op& op);

  Program program_;
  at::ScalarType compute_;
  ArenaPlan plan_;
  at::Tensor arena_;
  std::vector<at::Tensor> tensors_;  ///< of each buffer
  std::map<int, PackedTensors> packed_;
  std::map<OpKind, std::function<void(const Op&)>> instead_;
};

}  // namespace assay::kernels::compile
