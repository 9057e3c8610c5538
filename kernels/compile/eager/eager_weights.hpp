// SPDX-License-Identifier: Apache-2.0
// A checkpoint's weights as the tensors of an eager step.
#pragma once

#include "kernels/compile/checkpoint/weight_sink.hpp"
#include "kernels/compile/eager/eager_step.hpp"

namespace assay::kernels::compile {

/// Copies what it is given into tensors of its own and binds them. Throws std::invalid_argument for packed
/// weights that an eager step does not decode (other than NF4 in blocks of 64 and 256), c10::Error where a
/// buffer does not fit.
class EagerWeights final : public checkpoint::WeightSink {
 public:
  /// `compute`: the type the step was made with.
  EagerWeights(EagerStep& step, at::ScalarType compute) : step_(step), compute_(compute) {}

  void dense(const std::string& name, std::span<const std::byte> elements) override;
  void packed(const std::string& name, const nf4::PackedWeights& weights) override;
  void adapter(const std::string& name, std::span<const float> values) override;

 private:
  EagerStep& step_;
  at::ScalarType compute_;
};

}  // namespace assay::kernels::compile
