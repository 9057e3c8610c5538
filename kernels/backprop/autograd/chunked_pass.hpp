// SPDX-License-Identifier: Apache-2.0
// The loop over chunks behind memory_efficient_linear, without its place in autograd's graph.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <memory>
#include <vector>

#include "kernels/backprop/autograd/chunk_derivative.hpp"
#include "kernels/backprop/autograd/head_pass.hpp"
#include "kernels/backprop/autograd/row_selection.hpp"

namespace assay::kernels::backprop {

/// Types and shapes of the gradients; all that backward of a sum needs besides the sums.
struct GradientLayout {
  struct Like {
    at::ScalarType type = at::kFloat;
    std::vector<std::int64_t> shape;
  };
  std::array<Like, kTensors> like;

  /// sum · factor, rounded once to the type of tensor `index`, in its shape; undefined stays undefined.
  at::Tensor finished(const at::Tensor& sum, std::size_t index, const at::Tensor& factor) const;
};

/// What a pass leaves: f32 (f64) sums that are the wanted gradients once multiplied by `undo`, a power of
/// two. That of the hidden states may be of their own 16 bits. Undefined: not wanted.
struct PassResult {
  at::Tensor value;                       ///< scalar
  at::Tensor undo;                        ///< scalar
  std::array<at::Tensor, kTensors> sums;  ///< hidden as [N, H]
};

class ChunkedCall {
 public:
  /// Checks every argument (c10::Error). Keeps none of the tensors that are differentiated: autograd holds
  /// those, and hands them to the passes.
  ChunkedCall(const at::Tensor& hidden, const LinearHead& head,
              std::shared_ptr<const ChunkDerivative> derivative, std::vector<at::Tensor> row_arguments,
              std::vector<Teacher> teachers, MemoryEfficientOptions options, const Wanted& wanted);

  PassResult sum_with_gradients(at::TensorList tensors) const;
  at::Tensor values(at::TensorList tensors) const;
  /// `known`: what values() gave.
  PassResult gradients_of_values(at::TensorList tensors, const at::Tensor& upstream,
                                 const at::Tensor& known) const;
  const GradientLayout& layout() const { return layout_; }

 private:
  /// One run over the rows: the heads made ready, the sums begun.
  struct Run;
  struct Plan;
  template <class Body>
  void for_each_chunk(const Run& run, const Body& body) const;
  template <class Derive>
  void add_gradients(const Run& run, const Derive& derive, PassResult& out) const;
  void prepare(Teacher& teacher) const;
  PassResult begin_result() const;
  void put_hidden_gradient(const HeadGradients& gradients, const at::Tensor& gradient, std::int64_t begin,
                           at::Tensor& to) const;
  at::Tensor scale_for(const at::Tensor& upstream) const;
  MaskedChunk chunk_of(const Run& run, const at::Tensor& x, std::int64_t begin) const;
  at::Tensor divisor() const;
  double gradient_scale() const;
  Plan plan() const;

  LinearHead frozen_;  ///< the head's parts that are not differentiated: packed weight, lora_scale
  std::shared_ptr<const ChunkDerivative> derivative_;
  std::vector<at::Tensor> row_arguments_;  ///< rows flattened
  std::vector<Teacher> teachers_;
  MemoryEfficientOptions options_;
  Wanted wanted_;
  GradientLayout layout_;
  std::vector<std::int64_t> leading_;  ///< extents before the last one of the hidden states
  std::int64_t num_rows_ = 0, width_ = 0, vocab_ = 0;
  at::ScalarType sum_type_ = at::kFloat;
  at::TensorOptions sums_;  ///< of sum_type_, on the rows' device
  RowSelection rows_;
};

}  // namespace assay::kernels::backprop
