// SPDX-License-Identifier: Apache-2.0
// A small Llama with adapters, packed sequences of unequal length, and a step bound to its tensors.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "kernels/compile/eager/eager_step.hpp"
#include "kernels/compile/step_program.hpp"
#include "reference/llama/model.hpp"

namespace assay::testing {

inline constexpr std::int64_t kRank = 3;
inline const std::vector<std::int64_t> kLengths = {9, 1, 14};  // packed

/// kSmall: as small as the list allows. kDevice: head size 64, rank 8, rows of whole 16-byte vectors and
/// sequences of more than one block of attention's mask, as the kernels of the GPU want or may meet them.
enum class ProblemSize : std::uint8_t { kSmall, kDevice };

struct Problem {
  reference::llama::Llama model;
  std::vector<std::int64_t> lengths = kLengths;
  std::int64_t rank = kRank;
  double scale = 0;
  at::Tensor tokens, labels;  ///< [T]
};

/// B starts at zero in training; here it does not, so that A has a gradient.
Problem problem(bool tied, bool four_bit = false, ProblemSize size = ProblemSize::kSmall);

/// Loss of the plain model, sequence by sequence; fills the adapters' gradients.
double plain_loss(const Problem& p);

struct NamedLinear {
  std::string group;  ///< whose A it shares
  reference::llama::Linear* linear;
};
std::map<std::string, NamedLinear> linears_of(reference::llama::Layer& layer);

/// A of the group's linears one below the other, or their gradients.
at::Tensor stacked_a(reference::llama::Layer& layer, const std::string& group, bool gradient);

kernels::compile::StepOptions options_of(const Problem& p, kernels::compile::Keep keep, bool packed);

/// `change` is made to the list before it is run.
kernels::compile::EagerStep step_of(Problem& p, kernels::compile::Keep keep, at::ScalarType type = at::kFloat,
                                    bool packed = false,
                                    const std::function<void(kernels::compile::Program&)>& change = {});

/// Boundaries of the packed sequences, [sequences + 1].
std::vector<std::int32_t> boundaries_of(const std::vector<std::int64_t>& lengths);

/// How far the farthest adapter gradient is from the plain model's, relative to it.
double worst_gradient(Problem& p, const kernels::compile::EagerStep& step);

}  // namespace assay::testing
