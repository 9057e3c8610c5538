// SPDX-License-Identifier: Apache-2.0
// Random inputs of a case. Logits come out with a standard deviation of about one and a half, as those of a
// trained head.
#include <algorithm>
#include <cmath>
#include <functional>
#include <string_view>

#include "harness/verify/ulp.hpp"
#include "reference/backprop/matrix.hpp"
#include "reference/nf4/quantize.hpp"
#include "reference/nf4/table.hpp"
#include "suites/backprop/suite.hpp"

namespace assay::suites::backprop {
namespace {

using harness::Dtype;
using harness::TensorSet;
using harness::TensorSpec;
using harness::TensorView;

constexpr double kLogitDeviation = 1.5;

/// SplitMix64 (Steele, Lea, Flood 2014) by counter, so that threads share out a tensor.
std::uint64_t word_at(std::uint64_t stream, std::uint64_t index) {
  std::uint64_t z = stream + (index + 1) * 0x9e3779b97f4a7c15ULL;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}
double uniform_at(std::uint64_t stream, std::uint64_t index) {
  return static_cast<double>(word_at(stream, index) >> 11) * 0x1p-53;
}
/// Sum of four uniform 16-bit numbers: deviation 1, tails to 3.5, one word a number.
double normal_at(std::uint64_t stream, std::uint64_t index) {
  const std::uint64_t w = word_at(stream, index);
  const auto sum = static_cast<double>((w & 0xffff) + (w >> 16 & 0xffff) + (w >> 32 & 0xffff) + (w >> 48));
  return (sum / 65535.0 - 2.0) * 1.7320508075688772;
}

void store(const TensorView& view, std::int64_t i, double value) {
  switch (view.dtype) {
    case Dtype::kFloat32:
      view.as<float>()[i] = static_cast<float>(value);
      return;
    case Dtype::kFloat16:
      view.as<std::uint16_t>()[i] = harness::encode<harness::Float16Format>(value);
      return;
    default:
      view.as<std::uint16_t>()[i] = harness::encode<harness::Bfloat16Format>(value);
  }
}
double load(const TensorView& view, std::int64_t i) {
  switch (view.dtype) {
    case Dtype::kFloat32:
      return view.as<float>()[i];
    case Dtype::kFloat16:
      return harness::decode<harness::Float16Format>(view.as<std::uint16_t>()[i]);
    default:
      return harness::decode<harness::Bfloat16Format>(view.as<std::uint16_t>()[i]);
  }
}

void fill(const TensorView& view, const std::function<double(std::int64_t)>& value) {
  constexpr std::int64_t kBlock = 1 << 16;
  const std::int64_t count = view.numel();
  reference::backprop::for_each_row((count + kBlock - 1) / kBlock, [&](std::int64_t block) {
    const std::int64_t end = std::min(count, (block + 1) * kBlock);
    for (std::int64_t i = block * kBlock; i < end; ++i) store(view, i, value(i));
  });
}

/// The whole input set of a case; each tensor draws from a stream of its own.
class Filling {
 public:
  Filling(const BackpropCase& c, std::uint64_t seed, TensorSet& set) : c_(c), seed_(seed), set_(set) {}

  void all() {
    for (const TensorView& view : set_.views()) one(view);
    log_probabilities();  // of tokens, so last
  }

 private:
  std::uint64_t stream(std::string_view name) const {
    std::uint64_t hash = 0xcbf29ce484222325ULL;
    for (const char letter : name) hash = (hash ^ static_cast<std::uint8_t>(letter)) * 0x100000001b3ULL;
    return word_at(hash, seed_);
  }
  void normal(const TensorView& view, double deviation) {
    fill(view, [=, s = stream(view.name)](std::int64_t i) { return deviation * normal_at(s, i); });
  }
  /// `of` plus a tenth of noise: the reference policy is an earlier state of the policy.
  void near(const TensorView& view, const TensorView& of, double deviation) {
    fill(view, [&, deviation, s = stream(view.name)](std::int64_t i) {
      return load(of, i) + 0.1 * deviation * normal_at(s, i);
    });
  }
  double weight_deviation() const { return kLogitDeviation / std::sqrt(static_cast<double>(c_.hidden)); }

  /// A normal weight, quantized. Blocks do not end where rows do.
  void four_bits(const TensorView& packed) {
    std::vector<float> weight(static_cast<std::size_t>(c_.vocab * c_.hidden));
    for (std::size_t i = 0; i < weight.size(); ++i)
      weight[i] = static_cast<float>(weight_deviation() * normal_at(stream("weight"), i));
    reference::nf4::quantize_as_cpu(
        {.values = weight.data(), .count = static_cast<std::int64_t>(weight.size())},
        packed.as<std::uint8_t>(), set_.at("absmax").as<float>());
    std::copy_n(reference::nf4::kNf4Code, 16, set_.at("code").as<float>());
  }

  void one(const TensorView& view) {
    const std::string_view name = view.name;
    if (name == "packed")
      return four_bits(view);
    if (name == "hidden")
      normal(view, 1.0);
    else if (name == "weight")
      normal(view, weight_deviation());
    else if (name == "bias")
      normal(view, 0.5);
    else if (name == "lora_a")
      normal(view, 1.0 / std::sqrt(static_cast<double>(c_.hidden)));
    else if (name == "lora_b")
      normal(view, 0.2);
    else if (name == "teacher_hidden")
      c_.loss == LossKind::kGrpo ? near(view, set_.at("hidden"), 1.0) : normal(view, 1.0);
    else if (name == "teacher_weight")
      c_.loss == LossKind::kGrpo
          ? near(view, set_.at("weight"), weight_deviation())
          : normal(view, kLogitDeviation / std::sqrt(static_cast<double>(view.shape[1])));
    else if (name == "labels" || name == "tokens")
      tokens(view);
    else if (name == "mask")
      mask(view);
    else if (name == "upstream")
      upstream(view);
    else if (name == "class_weight")
      fill(view, [s = stream(name)](std::int64_t i) { return 0.25 + 1.5 * uniform_at(s, i); });
    else if (name == "targets")
      targets(view);
    else if (name == "advantages")
      fill(view, [s = stream(name)](std::int64_t i) { return 0.5 + normal_at(s, i); });
    else if (name == "desirable")
      for (std::int64_t i = 0; i < view.numel(); ++i) view.as<std::uint8_t>()[i] = i % 3 != 1;
    else if (name == "kl")
      *view.as<float>() = 0.3f;
  }

  /// Never 1, and negative half the time. An f16 run carries a loss scale.
  void upstream(const TensorView& view) {
    const double scale = c_.dtype == Dtype::kFloat16 && c_.loss != LossKind::kTokenLogprob
                             ? static_cast<double>(c_.rows)
                             : 1.0;
    fill(view, [=, s = stream(view.name)](std::int64_t i) {
      return scale * (1.25 + uniform_at(s, 2 * i)) * (word_at(s, 2 * i + 1) & 1 ? 1.0 : -1.0);
    });
  }

  /// The first third is ignored whole, as a prompt is, and then some: chunks have unequal counts.
  bool ignored(std::int64_t row, std::int64_t rows) const {
    if (c_.ignored == Ignored::kSome)
      return row < rows / 3 || uniform_at(stream("ignored"), row) < 0.15;
    return c_.ignored == Ignored::kAll;
  }
  void tokens(const TensorView& view) {
    const std::uint64_t s = stream("tokens");
    for (std::int64_t n = 0; n < c_.rows; ++n) {
      const auto token = static_cast<std::int64_t>(word_at(s, n) % static_cast<std::uint64_t>(c_.vocab));
      view.as<std::int64_t>()[n] = c_.has_labels() && ignored(n, c_.rows) ? kIgnoreIndex : token;
    }
  }
  /// Of every sequence the end is padding, of a different length each.
  void mask(const TensorView& view) {
    for (std::int64_t b = 0; b < c_.sequences; ++b) {
      const std::int64_t length = c_.length();
      const std::int64_t kept = c_.ignored == Ignored::kSome ? length - (b * 7 + 2) % (length - 1) : length;
      for (std::int64_t t = 0; t < length; ++t)
        view.as<std::uint8_t>()[b * length + t] = c_.ignored != Ignored::kAll && t < kept;
    }
  }

  void targets(const TensorView& view) {
    if (c_.loss == LossKind::kMse)
      return normal(view, kLogitDeviation);
    reference::backprop::for_each_row(c_.rows, [&, s = stream(view.name)](std::int64_t n) {
      float* row = view.as<float>() + n * c_.vocab;
      double sum = 0.0;
      for (std::int64_t v = 0; v < c_.vocab; ++v)
        sum += row[v] = static_cast<float>(std::exp(2.0 * normal_at(s, n * c_.vocab + v)));
      for (std::int64_t v = 0; v < c_.vocab; ++v) row[v] = static_cast<float>(row[v] / sum);
    });
  }

  /// About what the policy gives the row's token: its logit exactly, and log-sum-exp as of V normal logits.
  double estimate(std::int64_t row) const {
    const TensorView &hidden = set_.at("hidden"), &weight = set_.at("weight");
    const std::int64_t token = set_.at("tokens").as<std::int64_t>()[row];
    double logit = 0.0, squares = 0.0;
    for (std::int64_t h = 0; h < c_.hidden; ++h) {
      const double x = load(hidden, row * c_.hidden + h);
      logit += x * load(weight, token * c_.hidden + h);
      squares += x * x;
    }
    const double variance =
        squares * weight_deviation() * weight_deviation() / (c_.temperature * c_.temperature);
    return logit / c_.temperature - std::log(static_cast<double>(c_.vocab)) - variance / 2.0;
  }

  void log_probabilities() {
    for (const char* name : {"old_logp", "reference_logp"}) {
      if (!set_.contains(name))
        continue;
      const TensorView& view = set_.at(name);
      const std::int64_t tokens = c_.rows / view.numel();  // summed over so many
      fill(view, [&, s = stream(name)](std::int64_t i) {
        double sum = 0.0;
        for (std::int64_t row = i * tokens; row < (i + 1) * tokens; ++row) {
          if (set_.at("mask").as<std::uint8_t>()[row])
            sum += estimate(row);
        }
        return sum + (tokens > 1 ? 2.0 : 0.25) * normal_at(s, i);
      });
    }
  }

  const BackpropCase& c_;
  std::uint64_t seed_;
  TensorSet& set_;
};

}  // namespace

std::vector<TensorSpec> inputs_of(const BackpropCase& c) {
  const std::int64_t b = c.sequences, t = c.length();
  const auto f32 = Dtype::kFloat32;
  const std::int64_t weights = c.vocab * c.hidden;
  std::vector<TensorSpec> specs = {{"hidden", c.dtype, {c.rows, c.hidden}}};
  const auto add = [&](bool present, const char* name, Dtype dtype, std::vector<std::int64_t> shape) {
    if (present)
      specs.push_back({name, dtype, std::move(shape)});
  };
  add(!c.nf4, "weight", c.dtype, {c.vocab, c.hidden});
  add(c.nf4, "packed", Dtype::kUint8, {(weights + 1) / 2});
  add(c.nf4, "absmax", f32, {(weights + 63) / 64});
  add(c.nf4, "code", f32, {16});
  add(true, "upstream", f32,
      c.loss == LossKind::kTokenLogprob ? std::vector<std::int64_t>{c.rows, 3}
                                        : std::vector<std::int64_t>{1});
  add(c.bias, "bias", c.dtype, {c.vocab});
  add(c.rank > 0, "lora_a", c.dtype, {c.rank, c.hidden});
  add(c.rank > 0, "lora_b", c.dtype, {c.vocab, c.rank});
  add(c.has_labels(), "labels", Dtype::kInt64, {c.rows});
  add(c.has_targets(), "targets", f32, {c.rows, c.vocab});
  add(c.class_weights, "class_weight", f32, {c.vocab});
  // A distilled student is narrower than its teacher; a policy is as wide as its reference.
  const std::int64_t width = c.loss == LossKind::kDistillation ? c.hidden + 16 : c.hidden;
  add(c.has_teacher(), "teacher_hidden", c.dtype, {c.rows, width});
  add(c.has_teacher(), "teacher_weight", c.dtype, {c.vocab, width});
  add(c.of_tokens(), "tokens", Dtype::kInt64, {b, t});
  add(c.of_tokens(), "mask", Dtype::kUint8, {b, t});
  const bool grpo = c.loss == LossKind::kGrpo, kto = c.loss == LossKind::kKto;
  add(grpo, "advantages", f32, {b});
  add(grpo && c.old_logp, "old_logp", f32, {b, t});
  add(grpo && c.reference_logp, "reference_logp", f32, {b, t});
  add(kto || c.loss == LossKind::kDpo, "reference_logp", f32, {b});
  add(kto, "desirable", Dtype::kUint8, {b});
  add(kto, "kl", f32, {1});
  return specs;
}

std::vector<TensorSpec> outputs_of(const BackpropCase& c) {
  std::vector<TensorSpec> specs = {{"loss", Dtype::kFloat32, {1}},
                                   {"grad_hidden", c.dtype, {c.rows, c.hidden}}};
  if (c.loss == LossKind::kTokenLogprob)
    specs[0].shape = {c.rows, 3};
  if (!c.frozen)
    specs.push_back({"grad_weight", c.dtype, {c.vocab, c.hidden}});
  if (c.bias && !c.frozen)
    specs.push_back({"grad_bias", c.dtype, {c.vocab}});
  if (c.rank > 0) {
    specs.push_back({"grad_lora_a", c.dtype, {c.rank, c.hidden}});
    specs.push_back({"grad_lora_b", c.dtype, {c.vocab, c.rank}});
  }
  return specs;
}

TensorSet make_inputs(const harness::Case& which, std::uint64_t seed) {
  const BackpropCase& c = parameters_of(which);
  TensorSet set(harness::DeviceKind::kCpu);
  for (const TensorSpec& spec : inputs_of(c)) set.add(spec);
  Filling(c, seed, set).all();
  return set;
}

}  // namespace assay::suites::backprop
