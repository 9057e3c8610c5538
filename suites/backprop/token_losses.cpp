// SPDX-License-Identifier: Apache-2.0
#include "suites/backprop/token_losses.hpp"

#include <stdexcept>

#include "reference/backprop/grpo.hpp"
#include "reference/backprop/preference.hpp"

namespace assay::suites::backprop {
namespace {

namespace ref = reference::backprop;
using harness::TensorSet;

std::vector<double> floats(const TensorSet& in, const char* name) {
  if (!in.contains(name))
    return {};
  const float* from = in.at(name).as<float>();
  return {from, from + in.at(name).numel()};
}
std::vector<bool> flags(const TensorSet& in, const char* name) {
  const auto* from = in.at(name).as<std::uint8_t>();
  return std::vector<bool>(from, from + in.at(name).numel());
}

ref::Normalization as_reference(Normalization normalization) {
  switch (normalization) {
    case Normalization::kToken:
      return ref::Normalization::kToken;
    case Normalization::kSequence:
      return ref::Normalization::kSequence;
    case Normalization::kDrGrpo:
      return ref::Normalization::kDrGrpo;
  }
  throw std::invalid_argument("backprop: unknown normalization");
}

}  // namespace

std::vector<std::int64_t> tokens_of(const TensorSet& inputs, const char* name) {
  const auto* from = inputs.at(name).as<std::int64_t>();
  return {from, from + inputs.at(name).numel()};
}

ref::TokenLoss token_loss(const BackpropCase& c, const TensorSet& in, const std::vector<double>& logp,
                          const std::vector<double>& reference) {
  const ref::Sequences sequences{c.sequences, c.length(), flags(in, "mask")};
  switch (c.loss) {
    case LossKind::kGrpo: {
      const ref::GrpoBatch batch{c.sequences,
                                 c.length(),
                                 flags(in, "mask"),
                                 floats(in, "advantages"),
                                 floats(in, "old_logp"),
                                 c.has_teacher() ? reference : floats(in, "reference_logp")};
      return ref::grpo(logp, batch,
                       {kClipLow, kClipHigh, c.delta, kKlCoefficient, as_reference(c.normalization), 0});
    }
    case LossKind::kDpo:
      return ref::dpo(logp, sequences, floats(in, "reference_logp"), kDpoBeta, c.label_smoothing);
    case LossKind::kOrpo:
      return ref::orpo(logp, sequences, kOrpoLambda);
    case LossKind::kSimpo:
      return ref::simpo(logp, sequences, kSimpoBeta, kSimpoGammaRatio, c.label_smoothing);
    case LossKind::kKto:
      return ref::kto(logp, sequences, flags(in, "desirable"), floats(in, "reference_logp"),
                      floats(in, "kl")[0], {kKtoBeta, kKtoDesirable, kKtoUndesirable});
    default:
      throw std::invalid_argument("backprop: not a loss of token log-probabilities");
  }
}

}  // namespace assay::suites::backprop
