// SPDX-License-Identifier: Apache-2.0
#include "suites/backprop/training_band.hpp"

#include <ATen/TensorOperators.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "suites/backprop/text.hpp"

namespace assay::suites::backprop {
namespace {

using Tensors = std::vector<reference::llama::NamedTensor>;
constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kUlp = 0x1p-23;     // one unit in the last place of an f32 of 1
constexpr double kWidestBand = 0.1;  // of what was learned
constexpr double kLeastFall = 0.1;
constexpr std::size_t kAveraged = 5;

/// |a − b| over all tensors; NaN and what cannot be compared is infinitely far.
double distance(const Tensors& a, const Tensors& b) {
  if (a.size() != b.size())
    return kInfinity;
  double squares = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i].name != b[i].name || a[i].tensor.sizes() != b[i].tensor.sizes())
      return kInfinity;
    squares += (a[i].tensor - b[i].tensor).square().sum(at::kDouble).item<double>();
  }
  return std::isfinite(squares) ? std::sqrt(squares) : kInfinity;
}

double length(const Tensors& a) {
  double squares = 0;
  for (const auto& [name, tensor] : a) squares += tensor.square().sum(at::kDouble).item<double>();
  return std::sqrt(squares);
}

/// 0 / 0 says nothing, so it is not 0.
double ratio(double a, double b) {
  return b > 0 && std::isfinite(a) ? a / b : kInfinity;
}

template <class Of>
double root_mean_square(const std::vector<double>& a, const std::vector<double>& b, Of of) {
  if (a.empty() || a.size() != b.size())
    return kInfinity;
  double squares = 0;
  for (std::size_t i = 0; i < a.size(); ++i) squares += std::pow(of(a[i], b[i]), 2);
  return std::isfinite(squares) ? std::sqrt(squares / static_cast<double>(a.size())) : kInfinity;
}

double mean(auto begin, auto end) {
  return std::accumulate(begin, end, 0.0) / static_cast<double>(end - begin);
}

TrainingDifference largest(const TrainingDifference& a, const TrainingDifference& b) {
  return {.loss = std::max(a.loss, b.loss),
          .gradient_norm = std::max(a.gradient_norm, b.gradient_norm),
          .first_gradient = std::max(a.first_gradient, b.first_gradient),
          .parameters = std::max(a.parameters, b.parameters)};
}

std::string matches(const TrainingVerdict& verdict, double fall) {
  const auto& [naive, candidate] = std::tie(verdict.naive, verdict.candidate);
  const struct {
    const char* name;
    double found, naive, ulp, widest;
  } judged[] = {
      {"loss", candidate.loss, naive.loss, kUlp * verdict.first_loss, kWidestBand * fall},
      {"gradient norm", candidate.gradient_norm, naive.gradient_norm, kUlp, kWidestBand},
      {"first gradient", candidate.first_gradient, naive.first_gradient, kUlp, kWidestBand},
      {"parameters", candidate.parameters, naive.parameters, kUlp, kWidestBand},
  };
  for (const auto& [name, found, of_naive, ulp, widest] : judged) {
    const double allowed = kTrainingBand * of_naive + ulp;
    if (!(allowed <= widest))
      return text(name, ": expected naive runs that agree within ", widest / kTrainingBand, ", found ",
                  of_naive);
    if (!(found <= allowed))
      return text(name, ": expected at most ", allowed, " from the naive run (", kTrainingBand,
                  " times what order of summation does), found ", found);
  }
  return "";
}

std::string fell(const TrainingVerdict& verdict, const TrainingTrace& run) {
  if (!(verdict.last_loss <= (1 - kLeastFall) * verdict.first_loss))
    return text("loss: expected a fall by a tenth, found ", verdict.first_loss, " and ", verdict.last_loss);
  for (std::size_t i = 0; i < run.start.size(); ++i)
    if (!(distance({run.start[i]}, {run.end[i]}) > 0))
      return text(run.start[i].name, ": expected it to move, found it where it was");
  return "";
}

}  // namespace

TrainingDifference difference(const TrainingTrace& a, const TrainingTrace& b) {
  return {
      .loss = root_mean_square(a.losses, b.losses, [](double x, double y) { return x - y; }),
      .gradient_norm =
          root_mean_square(a.gradient_norms, b.gradient_norms, [](double x, double y) { return 1 - y / x; }),
      .first_gradient = ratio(distance(a.first_gradients, b.first_gradients), length(a.first_gradients)),
      .parameters = ratio(distance(a.end, b.end), distance(a.end, a.start)),
  };
}

TrainingVerdict judge(const std::vector<TrainingTrace>& naive, const TrainingTrace& candidate) {
  TrainingVerdict verdict;
  const auto& losses = candidate.losses;
  if (naive.size() < 2 || losses.size() < 2 * kAveraged) {
    verdict.reason = text("expected two naive runs and ", 2 * kAveraged, " steps, found ", naive.size(),
                          " and ", losses.size());
    return verdict;
  }
  for (std::size_t i = 0; i < naive.size(); ++i)
    for (std::size_t j = 0; j < i; ++j)
      verdict.naive = largest(verdict.naive, difference(naive[j], naive[i]));
  verdict.candidate = difference(naive[0], candidate);
  verdict.first_loss = mean(losses.begin(), losses.begin() + kAveraged);
  verdict.last_loss = mean(losses.end() - kAveraged, losses.end());
  const std::string not_fallen = fell(verdict, candidate);
  const std::string not_matching = matches(verdict, verdict.first_loss - verdict.last_loss);
  verdict.fell = not_fallen.empty();
  verdict.matches = not_matching.empty();
  verdict.reason = !verdict.matches ? not_matching : not_fallen;
  return verdict;
}

}  // namespace assay::suites::backprop
