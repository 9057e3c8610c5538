// SPDX-License-Identifier: Apache-2.0
// Buffers and recurring groups of operations of step_program.cpp.
#pragma once

#include <initializer_list>
#include <string>
#include <vector>

#include "kernels/compile/step_program.hpp"

namespace assay::kernels::compile {

/// Of a buffer of the program being built.
struct Id {
  int index = -1;
};

struct Linear {
  Id weight, b;  ///< [outputs, inputs], [outputs, rank] (the copy)
  Id b_gradient;
  std::int64_t outputs = 0;
};

/// Linears that read the same input.
struct LinearGroup {
  std::string name;
  std::vector<Linear> members;
  Id a, a_gradient;  ///< [members · rank, inputs] (the copy)
  std::int64_t inputs = 0;
};

struct LayerBuffers {
  Id norm1, norm2;
  LinearGroup qkv, o, gate_up, down;
};

class ProgramBuilder {
 public:
  explicit ProgramBuilder(const StepOptions& options);

  Id tokens, labels, positions, boundaries, frequencies, settings;
  Id embedding, head, norm, loss, square_sum;

  const LayerBuffers& layer(std::int64_t i) const { return layers_[static_cast<std::size_t>(i)]; }

  /// A new [T, columns] of the arena, in the compute type or in f32.
  Id value(const std::string& name, std::int64_t columns);
  Id statistic(const std::string& name, std::int64_t columns);
  void op(OpKind kind, std::initializer_list<Id> in, std::initializer_list<Id> out);
  void rope(Id x, bool reversed);

  /// u = x·Aᵀ of the whole group.
  Id low_rank(const LinearGroup& group, Id x);
  /// x·Wᵀ + s·u·Bᵀ of one member.
  Id linear(const LinearGroup& group, std::size_t member, Id x, Id u);
  /// The adapters' gradients; returns du of the whole group. `dy`: one for each member.
  Id adapter_backward(const LinearGroup& group, const std::vector<Id>& dy, Id x, Id u);
  /// Σ dy·W + du·A.
  Id input_gradient(const LinearGroup& group, const std::vector<Id>& dy, Id du);

  /// Clipping by the norm of all gradients, then AdamW on every adapter.
  void optimizer();
  Program take() { return std::move(program_); }

 private:
  struct Adapter {
    Id parameter, copy, gradient, mean, square;
  };

  Id add(const std::string& name, Role role, Element element, std::int64_t rows, std::int64_t columns);
  Adapter adapter(const std::string& name, std::int64_t rows, std::int64_t columns);
  LinearGroup group(const std::string& prefix, const std::string& name, std::int64_t inputs,
                    const std::vector<std::pair<std::string, std::int64_t>>& members);
  Id decoded(const LinearGroup& group, std::size_t member);
  Operand slice(Id u, std::size_t member) const;
  void multiply(Operand a, bool transpose_a, Operand b, bool transpose_b, Operand out, double alpha,
                float beta);

  const StepOptions& options_;
  Program program_;
  std::vector<LayerBuffers> layers_;
  std::vector<Adapter> adapters_;
};

}  // namespace assay::kernels::compile
