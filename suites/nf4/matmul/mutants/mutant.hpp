// SPDX-License-Identifier: Apache-2.0
// What the wrong implementations of nf4/matmul share: the right steps as plain loops on the CPU, how a mutant
// is declared, and for which cases its fault shows. A mutant derives from PlainSteps, replaces one step and
// is right in all others.
#pragma once

#include <algorithm>
#include <functional>
#include <string>

#include "harness/core/registry.hpp"
#include "harness/verify/verify.hpp"
#include "suites/nf4/matmul/suite.hpp"
#include "suites/nf4/mutants/plain_cpu.hpp"

namespace assay::suites::nf4::matmul::mutants {

using kernels::nf4::PackedWeights;

/// One case on the CPU; the views stay valid as long as the call may be made.
struct Problem {
  MatmulCase c;
  PackedWeights weights;
  harness::TensorView x, y;
};

float rounded_to(harness::Dtype dtype, float value);
float value_of(const harness::TensorView& view, std::int64_t i);

struct PlainSteps : nf4::mutants::PlainSteps {
  static float weight(const Problem& p, int code, float absmax) {
    (void)p;
    return kCode[code] * absmax;
  }
  static std::int64_t depth(const Problem& p) { return p.c.k; }
  static std::int64_t x_row(const Problem& p, std::int64_t i) {
    (void)p;
    return i;
  }
  static float add(const Problem& p, float sum, float product) {
    (void)p;
    return sum + product;
  }
};

/// Σ x[i][c] · w[row][c] over [begin, end) of K.
template <class Steps>
float partial_sum(const Problem& p, std::int64_t i, std::int64_t row, std::int64_t begin, std::int64_t end) {
  float sum = 0.0f;
  for (std::int64_t c = begin; c < end; ++c) {
    const std::int64_t at = row * p.c.k + c;
    const float absmax = Steps::absmax(p.weights, at / p.c.block_size);
    const float weight = Steps::weight(p, Steps::nibble(p.weights, at), absmax);
    sum = Steps::add(p, sum, value_of(p.x, Steps::x_row(p, i) * p.c.k + c) * weight);
  }
  return sum;
}

/// Columns [begin, end) of y by the given steps.
template <class Steps>
void multiply_plain(const Problem& p, std::int64_t begin, std::int64_t end) {
  for (std::int64_t i = 0; i < p.c.m; ++i)
    for (std::int64_t row = begin; row < end; ++row)
      nf4::mutants::store(p.y, i * p.c.n + row, partial_sum<Steps>(p, i, row, 0, Steps::depth(p)));
}

/// Does one call.
using Body = std::function<void(const Problem&)>;

/// What a case must have for the fault to show.
struct Needs {
  std::int64_t min_rows = 1;    ///< of x
  bool ragged_depth = false;    ///< K no multiple of 256
  bool ragged_columns = false;  ///< N no multiple of 16
};

/// On the CPU. `check` is one of harness::checks. `make_body` is called at each prepare, so that a body may
/// keep state.
harness::Implementation mutant(std::string name, const char* check, std::string about,
                               std::function<Body()> make_body, Needs needs = {});

/// A mutant that does all of y by its own steps.
template <class Steps>
harness::Implementation mutant_by_steps(std::string name, std::string about, Needs needs = {}) {
  const auto body = []() -> Body { return [](const Problem& p) { multiply_plain<Steps>(p, 0, p.c.n); }; };
  return mutant(std::move(name), harness::checks::kParity, std::move(about), body, needs);
}

}  // namespace assay::suites::nf4::matmul::mutants
