// SPDX-License-Identifier: Apache-2.0
// Where a step's weights go, whatever runs the step: bytes to a named buffer.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "kernels/nf4/format.hpp"

namespace assay::kernels::compile::checkpoint {

/// Host memory that is given is the caller's and valid during the call alone: copy it. Names are those of
/// step_program.hpp. Each buffer is given once.
class WeightSink {
 public:
  virtual ~WeightSink() = default;
  /// A frozen buffer that is not packed: rows · columns elements, row-major, of the step's compute type
  /// (frequencies: f32).
  virtual void dense(const std::string& name, std::span<const std::byte> elements) = 0;
  /// A packed one, double-quantized (weights.nested()).
  virtual void packed(const std::string& name, const nf4::PackedWeights& weights) = 0;
  /// An adapter, f32 [rows · columns]; its copy in the compute type is the sink's to make.
  virtual void adapter(const std::string& name, std::span<const float> values) = 0;
};

}  // namespace assay::kernels::compile::checkpoint
