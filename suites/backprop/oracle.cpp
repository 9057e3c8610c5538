// SPDX-License-Identifier: Apache-2.0
// The case's tensors as the scalar oracle takes them, and which oracle judges which case.
#include <algorithm>
#include <map>
#include <stdexcept>

#include "harness/verify/lazy_oracle.hpp"
#include "harness/verify/ulp.hpp"
#include "reference/backprop/cross_entropy.hpp"
#include "reference/backprop/distillation.hpp"
#include "reference/nf4/dequantize.hpp"
#include "suites/backprop/suite.hpp"
#include "suites/backprop/token_losses.hpp"

namespace assay::suites::backprop {
namespace {

using harness::Dtype;
using harness::TensorSet;
using harness::TensorView;
namespace ref = reference::backprop;

// Scalar loops do about 1e9 multiplications a second on two cores; above this tensor operations take over.
constexpr std::int64_t kScalarProducts = std::int64_t{1} << 27;

double element(const TensorView& view, std::int64_t i) {
  switch (view.dtype) {
    case Dtype::kFloat32:
      return view.as<float>()[i];
    case Dtype::kFloat16:
      return harness::decode<harness::Float16Format>(view.as<std::uint16_t>()[i]);
    case Dtype::kBfloat16:
      return harness::decode<harness::Bfloat16Format>(view.as<std::uint16_t>()[i]);
    default:
      throw std::invalid_argument("backprop: expected a floating input, found " + view.name);
  }
}

ref::Matrix matrix(const TensorSet& in, const char* name) {
  if (!in.contains(name))
    return {};
  const TensorView& view = in.at(name);
  ref::Matrix m(view.shape.size() > 1 ? view.shape[0] : 1, view.shape.back());
  for (std::int64_t i = 0; i < view.numel(); ++i) m.values[i] = element(view, i);
  return m;
}

/// Row-major [V, H] of the codes' exact values.
ref::Matrix four_bit_matrix(const BackpropCase& c, const TensorSet& in) {
  reference::nf4::QuantizedWeights weights;
  weights.packed = in.at("packed").as<std::uint8_t>();
  weights.absmax = in.at("absmax").as<float>();
  weights.count = c.vocab * c.hidden;
  ref::Matrix m(c.vocab, c.hidden);
  reference::nf4::truth(weights, 0, m.values);
  return m;
}

ref::Head head_of(const BackpropCase& c, const TensorSet& in) {
  return {c.nf4 ? four_bit_matrix(c, in) : matrix(in, "weight"), matrix(in, "bias").values,
          matrix(in, "lora_a"), matrix(in, "lora_b"), kLoraScale};
}

ref::Matrix teacher_logits(const TensorSet& in) {
  return ref::logits_of(matrix(in, "teacher_hidden"), {matrix(in, "teacher_weight"), {}, {}, {}, 1.0});
}

ref::Loss loss_of(const BackpropCase& c, const TensorSet& in, const ref::Matrix& logits) {
  const ref::Transform transform{c.softcap, c.temperature};
  switch (c.loss) {
    case LossKind::kCrossEntropy: {
      const ref::CrossEntropy options{transform, kIgnoreIndex, c.label_smoothing, c.z_loss,
                                      matrix(in, "class_weight").values};
      return c.soft_targets ? ref::cross_entropy_soft(logits, matrix(in, "targets"), options)
                            : ref::cross_entropy(logits, tokens_of(in, "labels"), options);
    }
    case LossKind::kMse:
      return ref::mean_squared_error(logits, matrix(in, "targets"));
    case LossKind::kDistillation:
      return ref::distillation(logits, teacher_logits(in), c.temperature, c.beta);
    default: {
      const auto tokens = tokens_of(in, "tokens");
      const auto reference =
          c.has_teacher() ? ref::token_logp(teacher_logits(in), tokens, transform) : std::vector<double>();
      return ref::through_logp(logits, tokens, transform,
                               token_loss(c, in, ref::token_logp(logits, tokens, transform), reference));
    }
  }
}

using Values = std::map<std::string, std::vector<double>, std::less<>>;

Values truth_of(const BackpropCase& c, const TensorSet& in) {
  const ref::Matrix hidden = matrix(in, "hidden");
  const ref::Head head = head_of(c, in);
  const ref::Matrix logits = ref::logits_of(hidden, head), upstream = matrix(in, "upstream");
  Values values;
  ref::Gradients g;
  if (c.loss == LossKind::kTokenLogprob) {
    const auto labels = tokens_of(in, "labels");
    const ref::Transform transform{c.softcap, c.temperature};
    values["loss"] = ref::token_statistics(logits, labels, transform).values;
    g = ref::backward(hidden, head, ref::token_statistics_backward(logits, labels, transform, upstream), 1.0);
  } else {
    const ref::Loss loss = loss_of(c, in, logits);
    values["loss"] = {loss.value};
    g = ref::backward(hidden, head, loss.dlogits, upstream.values[0]);
  }
  values["grad_hidden"] = std::move(g.hidden.values);
  values["grad_weight"] = std::move(g.weight.values);
  values["grad_bias"] = std::move(g.bias);
  values["grad_lora_a"] = std::move(g.lora_a.values);
  values["grad_lora_b"] = std::move(g.lora_b.values);
  return values;
}

}  // namespace

harness::Oracle scalar_oracle(const BackpropCase& c, const TensorSet& inputs) {
  return harness::lazy_oracle([c, &inputs] { return truth_of(c, inputs); },
                              [](const Values& values, std::string_view output) {
                                const auto found = values.find(output);
                                return found == values.end() ? nullptr : found->second.data();
                              });
}

harness::Oracle oracle_of(const harness::Case& which, const TensorSet& inputs) {
  const BackpropCase& c = parameters_of(which);
  return c.rows * c.hidden * c.vocab <= kScalarProducts ? scalar_oracle(c, inputs) : tensor_oracle(c, inputs);
}

}  // namespace assay::suites::backprop
