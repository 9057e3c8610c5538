// SPDX-License-Identifier: Apache-2.0
// For tests: one table of cases, the formulas of softmax_pass.hpp in plain f64 loops, and bounds on the
// difference. The tests of both devices read it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "kernels/backprop/softmax_pass.hpp"

namespace assay::kernels::backprop::cases {

inline constexpr LogitType kTypes[] = {LogitType::kFloat16, LogitType::kBfloat16, LogitType::kFloat32};

std::size_t bytes_of(LogitType type);
double decode(const void* at, LogitType type);
void encode(double value, void* at, LogitType type);

/// Everything that decides a case. Rows are random, about N(0, spread²), with the seed.
struct Case {
  LogitType type = LogitType::kBfloat16;
  std::int64_t rows = 5, vocab = 1000, padding = 0;  ///< padding: stride − vocab
  double softcap = 0.0, temperature = 1.0;
  float label_smoothing = 0.0f, z_loss = 0.0f;
  bool class_weight = false, bias = false;
  bool ignores_second_row = false;
  float gradient_scale = 0.0f;  ///< 0: null
  double spread = 3.0;
  std::size_t misalignment = 0;  ///< bytes between a 256-byte boundary and the first row
  unsigned seed = 1;
};
std::string text_of(const Case& c);
std::vector<Case> option_cases();  ///< every option alone and together, all types
std::vector<Case>
size_cases();  ///< vocabularies around vector, warp and block sizes; strides; misaligned rows

/// Host arrays of a case. `allocation` holds what lies before, between and after the rows too, filled with
/// 0xa5.
struct Sample {
  explicit Sample(const Case& c);
  std::byte* row(std::int64_t r);
  double logit(std::int64_t r, std::int64_t v) const;
  void set(std::int64_t r, std::int64_t v, double value);

  Case c;
  std::vector<std::byte> allocation, bias;
  std::size_t offset;  ///< of row 0 in `allocation`
  std::vector<std::int64_t> labels;
  std::vector<float> class_weight, gradient_scale, upstream;
  LogitRows logits();
  CrossEntropyPass cross_entropy(float* loss, float* lse);
};

/// Runs a pass whose pointers are host arrays; the whole allocation around the logits is given so that a
/// device copy can keep its alignment and its surroundings.
struct Runner {
  std::function<void(const CrossEntropyPass&, Sample&)> cross_entropy;
  std::function<void(const TokenStatisticsPass&, Sample&)> statistics;
  std::function<void(const TokenStatisticsGradientPass&, Sample&)> gradient;
};

/// gtest expectations inside: values against f64, nothing written around the rows.
void expect_cross_entropy(const Case& c, const Runner& run);
void expect_cross_entropy(Sample& sample, const Runner& run);
void expect_statistics(const Case& c, const Runner& run);
void expect_statistics(Sample& sample, const Runner& run);

}  // namespace assay::kernels::backprop::cases
