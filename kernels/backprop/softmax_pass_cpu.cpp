// SPDX-License-Identifier: Apache-2.0
// The softmax pass on the CPU: the formulas of a row, compiled for every instruction set, and the work
// sharing.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/backprop/softmax_pass_cpu.cpp"
// clang-format off: once per target, in this order
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/backprop/softmax_pass_cpu_row-inl.hpp"
// clang-format on

#include <hwy/aligned_allocator.h>

#include <cmath>

HWY_BEFORE_NAMESPACE();
namespace assay::kernels::backprop::HWY_NAMESPACE {

inline hwy::AlignedFreeUniquePtr<float[]> scratch_for(const LogitRows& logits) {
  return hwy::AllocateAligned<float>(padded(static_cast<std::size_t>(logits.vocab)));
}

template <LogitType kType>
void cross_entropy_row(const CrossEntropyPass& pass, std::int64_t r, float* scratch) {
  const Row<kType> row(pass.logits, r);
  const auto vocab = static_cast<std::size_t>(pass.logits.vocab);
  const std::int64_t label = pass.labels[r];
  if (label == pass.ignore_index) {
    pass.loss[r] = 0.0f;
    if (pass.lse != nullptr)
      pass.lse[r] = 0.0f;
    return pass.write_gradient ? row.fill_with_zeros() : void();
  }

  const float shift = row.transform_to(scratch);
  const double z_label = static_cast<double>(scratch[label]);
  const double smoothing = static_cast<double>(pass.label_smoothing),
               z_loss = static_cast<double>(pass.z_loss);
  const bool smooths = pass.label_smoothing > 0.0f;
  const double weighted_z = smooths ? weighted_sum(scratch, pass.class_weight, vocab) : 0.0;
  const double weights = smooths ? sum_of_weights(pass.class_weight, vocab) : 0.0;
  const double sum = exponentiate(scratch, padded(vocab), shift, false).sum;
  const double log_sum = std::log(sum), lse = static_cast<double>(shift) + log_sum;

  const double label_weight =
      (1.0 - smoothing) *
      (pass.class_weight == nullptr ? 1.0 : static_cast<double>(pass.class_weight[label]));
  const double smooth_weight = smoothing / static_cast<double>(vocab);
  // Options that are off take no part: 0 times an infinite term would be NaN.
  double loss = label_weight * ((static_cast<double>(shift) - z_label) + log_sum);
  if (smooths)
    loss += smooth_weight * (lse * weights - weighted_z);
  if (pass.z_loss != 0.0f)
    loss += z_loss * lse * lse;
  pass.loss[r] = static_cast<float>(loss);
  if (pass.lse != nullptr)
    pass.lse[r] = static_cast<float>(lse);
  if (!pass.write_gradient)
    return;

  const double scale =
      label_weight + smooth_weight * weights + (pass.z_loss != 0.0f ? 2.0 * z_loss * lse : 0.0);
  scale_and_subtract(scratch, vocab, static_cast<float>(scale / sum), pass.class_weight,
                     static_cast<float>(smooth_weight));
  scratch[label] -= static_cast<float>(label_weight);
  row.store_gradient(scratch, pass.gradient_scale == nullptr ? 1.0f : *pass.gradient_scale);
}

template <LogitType kType>
void statistics_row(const TokenStatisticsPass& pass, std::int64_t r, float* scratch) {
  const std::int64_t token = pass.tokens[r];
  float* const out = pass.statistics + 3 * r;
  if (token < 0) {
    std::fill_n(out, 3, 0.0f);
    return;
  }
  const Row<kType> row(pass.logits, r);
  const float shift = row.transform_to(scratch);
  const double z_token = static_cast<double>(scratch[token]);
  const Exponentials e =
      exponentiate(scratch, padded(static_cast<std::size_t>(pass.logits.vocab)), shift, true);
  const double log_sum = std::log(e.sum);
  out[0] = static_cast<float>((z_token - static_cast<double>(shift)) - log_sum);
  out[1] = static_cast<float>(log_sum - e.weighted_log / e.sum);
  out[2] = static_cast<float>(static_cast<double>(shift) + log_sum);
}

template <LogitType kType>
void statistics_gradient_row(const TokenStatisticsGradientPass& pass, std::int64_t r, float* scratch) {
  const Floats df;
  const Row<kType> row(pass.logits, r);
  const std::int64_t token = pass.tokens[r];
  if (token < 0)
    return row.fill_with_zeros();
  row.transform_to(scratch);
  const float *const g = pass.upstream + 3 * r, *const statistics = pass.statistics + 3 * r;
  const auto lse = hn::Set(df, statistics[2]), entropy = hn::Set(df, statistics[1]);
  const auto constant = hn::Set(df, g[2] - g[0]), slope = hn::Set(df, g[1]);
  const std::size_t count = padded(static_cast<std::size_t>(pass.logits.vocab));
  for (std::size_t i = 0; i < count; i += hn::Lanes(df)) {
    const auto log_p = hn::Sub(hn::LoadU(df, scratch + i), lse);
    const auto finite = hn::Add(hn::Max(log_p, hn::Set(df, kLowestLog)), entropy);
    hn::StoreU(hn::Mul(exponential(log_p), hn::Sub(constant, hn::Mul(slope, finite))), df, scratch + i);
  }
  scratch[token] += g[0];
  row.store_gradient(scratch, pass.gradient_scale == nullptr ? 1.0f : *pass.gradient_scale);
}

#define ASSAY_ROWS_OF_EVERY_TYPE(name, one_row, Pass)                                   \
  template <LogitType kType>                                                            \
  void name##_of(const Pass& pass, std::int64_t first, std::int64_t last) {             \
    const auto scratch = scratch_for(pass.logits);                                      \
    for (std::int64_t r = first; r < last; ++r) one_row<kType>(pass, r, scratch.get()); \
  }                                                                                     \
  void name(const Pass& pass, std::int64_t first, std::int64_t last) {                  \
    switch (pass.logits.type) {                                                         \
      case LogitType::kFloat16:                                                         \
        return name##_of<LogitType::kFloat16>(pass, first, last);                       \
      case LogitType::kBfloat16:                                                        \
        return name##_of<LogitType::kBfloat16>(pass, first, last);                      \
      case LogitType::kFloat32:                                                         \
        return name##_of<LogitType::kFloat32>(pass, first, last);                       \
    }                                                                                   \
  }
ASSAY_ROWS_OF_EVERY_TYPE(cross_entropy_rows, cross_entropy_row, CrossEntropyPass)
ASSAY_ROWS_OF_EVERY_TYPE(statistics_rows, statistics_row, TokenStatisticsPass)
ASSAY_ROWS_OF_EVERY_TYPE(statistics_gradient_rows, statistics_gradient_row, TokenStatisticsGradientPass)
#undef ASSAY_ROWS_OF_EVERY_TYPE

}  // namespace assay::kernels::backprop::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

#include <stdexcept>

#include "kernels/backprop/softmax_pass_check.hpp"
#include "kernels/backprop/softmax_pass_cpu.hpp"
#include "kernels/common/instruction_sets.hpp"
#include "kernels/common/parallel_for.hpp"

namespace assay::kernels::backprop {
HWY_EXPORT(cross_entropy_rows);
HWY_EXPORT(statistics_rows);
HWY_EXPORT(statistics_gradient_rows);
namespace {

/// Logits handed to a thread at a time.
constexpr std::int64_t kLogitsPerRange = 1 << 15;

void check_tokens(const LogitRows& logits, const std::int64_t* tokens,
                  bool (*is_skipped)(std::int64_t, std::int64_t), std::int64_t ignore_index) {
  for (std::int64_t r = 0; r < logits.rows; ++r) {
    if (!is_skipped(tokens[r], ignore_index) && !(tokens[r] >= 0 && tokens[r] < logits.vocab))
      throw std::invalid_argument("softmax pass: expected labels from 0 to " +
                                  std::to_string(logits.vocab - 1) + ", found " + std::to_string(tokens[r]) +
                                  " in row " + std::to_string(r) +
                                  "; mark rows that do not count with the ignore index");
  }
}

void check_labels(const CrossEntropyPass& pass) {
  check_tokens(
      pass.logits, pass.labels, [](std::int64_t token, std::int64_t ignore) { return token == ignore; },
      pass.ignore_index);
}
void check_labels(const TokenStatisticsPass& pass) {
  check_tokens(
      pass.logits, pass.tokens, [](std::int64_t token, std::int64_t) { return token < 0; }, 0);
}
void check_labels(const TokenStatisticsGradientPass& pass) {
  check_tokens(
      pass.logits, pass.tokens, [](std::int64_t token, std::int64_t) { return token < 0; }, 0);
}

template <class Pass>
void run(void (*rows)(const Pass&, std::int64_t, std::int64_t), const Pass& pass, int num_threads) {
  check(pass);
  if (pass.logits.rows == 0)
    return;
  check_labels(pass);
  parallel_for(pass.logits.rows, kLogitsPerRange / pass.logits.vocab, num_threads,
               [&](std::int64_t first, std::int64_t last) { rows(pass, first, last); });
}

std::size_t index_of(const std::string& instruction_set) {
  hwy::ChosenTarget chosen;
  chosen.Update(instruction_set_from_name(instruction_set, HWY_TARGETS));
  return chosen.GetIndex();
}

}  // namespace

void cross_entropy_pass_cpu(const CrossEntropyPass& pass, int num_threads) {
  run(HWY_DYNAMIC_DISPATCH(cross_entropy_rows), pass, num_threads);
}
void token_statistics_pass_cpu(const TokenStatisticsPass& pass, int num_threads) {
  run(HWY_DYNAMIC_DISPATCH(statistics_rows), pass, num_threads);
}
void token_statistics_gradient_pass_cpu(const TokenStatisticsGradientPass& pass, int num_threads) {
  run(HWY_DYNAMIC_DISPATCH(statistics_gradient_rows), pass, num_threads);
}

std::vector<std::string> softmax_pass_instruction_sets() {
  return usable_instruction_sets(HWY_TARGETS);
}

void cross_entropy_pass_cpu_on(const std::string& instruction_set, const CrossEntropyPass& pass,
                               int num_threads) {
  run(HWY_DISPATCH_TABLE(cross_entropy_rows)[index_of(instruction_set)], pass, num_threads);
}
void token_statistics_pass_cpu_on(const std::string& instruction_set, const TokenStatisticsPass& pass,
                                  int num_threads) {
  run(HWY_DISPATCH_TABLE(statistics_rows)[index_of(instruction_set)], pass, num_threads);
}
void token_statistics_gradient_pass_cpu_on(const std::string& instruction_set,
                                           const TokenStatisticsGradientPass& pass, int num_threads) {
  run(HWY_DISPATCH_TABLE(statistics_gradient_rows)[index_of(instruction_set)], pass, num_threads);
}

}  // namespace assay::kernels::backprop

#endif  // HWY_ONCE
