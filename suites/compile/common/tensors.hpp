// SPDX-License-Identifier: Apache-2.0
// Tensor code on the harness' memory and stream: what baselines and wrong implementations are.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <map>
#include <string>

#include "harness/core/challenge.hpp"

namespace assay::suites::compile {

/// A case's inputs or outputs by name; undefined where the case has no such tensor.
class Tensors {
 public:
  void add(const std::string& name, at::Tensor tensor) { by_name_[name] = std::move(tensor); }
  at::Tensor operator[](const std::string& name) const {
    const auto found = by_name_.find(name);
    return found == by_name_.end() ? at::Tensor() : found->second;
  }

 private:
  std::map<std::string, at::Tensor> by_name_;
};

/// One call: writes every output.
using TensorCall = std::function<void(const Tensors& in, const Tensors& out)>;

/// Over the same memory.
at::Tensor as_tensor(const harness::TensorView& view);
Tensors tensors_of(const harness::TensorSet& set);

/// kInto writes into the given outputs, kAllocating into new ones, as a user's call.
harness::Invocation prepare_tensor_call(const harness::TensorSet& inputs, const harness::TensorSet& outputs,
                                        harness::CallStyle style, const TensorCall& call);

}  // namespace assay::suites::compile
