// SPDX-License-Identifier: Apache-2.0
#include "kernels/compile/device/step_inputs.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

namespace assay::kernels::compile {
namespace {

constexpr std::int64_t kIgnored = -100;

void require(bool holds, const std::string& expected, const std::string& found) {
  if (!holds)
    throw std::invalid_argument("step inputs: expected " + expected + ", found " + found);
}

std::string text(std::int64_t value) {
  return std::to_string(value);
}

void require_fits(std::int64_t found, std::int64_t capacity, const std::string& what) {
  require(found <= capacity, "at most " + text(capacity) + " " + what + ", which the step was captured for",
          text(found) + "; make a step of that capacity");
}

void check_boundaries(const StepInputs& inputs, const StepCapacity& capacity) {
  const auto& starts = inputs.boundaries;
  require(starts.size() >= 2, "boundaries of at least one sequence", text(std::ssize(starts)) + " numbers");
  require_fits(std::ssize(starts) - 1, capacity.sequences, "sequences");
  require(starts.front() == 0 && starts.back() == std::ssize(inputs.tokens),
          "boundaries from 0 to the " + text(std::ssize(inputs.tokens)) + " tokens",
          text(starts.front()) + " to " + text(starts.back()));
  for (std::size_t i = 0; i + 1 < starts.size(); ++i) {
    require(starts[i] <= starts[i + 1], "boundaries that do not fall",
            text(starts[i]) + " before " + text(starts[i + 1]));
    require_fits(starts[i + 1] - starts[i], capacity.longest_sequence, "tokens in a sequence");
  }
}

void check_settings(const StepSettings& s) {
  for (const float value : {s.learning_rate, s.step, s.weight_decay, s.largest_norm})
    require(std::isfinite(value) && value >= 0.0f, "finite settings of 0 or above", std::to_string(value));
  require(s.step >= 1.0f, "steps counted from 1 on", std::to_string(s.step));
}

/// The first `given.size()` elements at `to` are the given ones, the rest `filler`.
template <class T>
void put(std::span<const T> given, T filler, std::int64_t count, std::byte* to) {
  auto* const out = reinterpret_cast<T*>(to);
  std::ranges::copy(given, out);
  std::fill(out + given.size(), out + count, filler);
}

}  // namespace

StepCapacity capacity_of(const StepPlan& plan) {
  const Program& program = plan.program();
  const auto rows = [&](const char* name) {
    return program.buffers[static_cast<std::size_t>(program.find(name))].rows;
  };
  return {.tokens = rows("tokens"),
          .sequences = rows("boundaries") - 1,
          .longest_sequence = plan.longest_sequence(),
          .vocab = rows("embed_tokens")};
}

void check(const StepInputs& inputs, const StepCapacity& capacity) {
  const std::int64_t count = std::ssize(inputs.tokens);
  require_fits(count, capacity.tokens, "tokens");
  require(std::ssize(inputs.labels) == count, "a label for each of " + text(count) + " tokens",
          text(std::ssize(inputs.labels)));
  require(inputs.positions.empty() || std::ssize(inputs.positions) == count,
          "a position for each of " + text(count) + " tokens, or none", text(std::ssize(inputs.positions)));
  const auto known = [&](std::int64_t id) { return id >= 0 && id < capacity.vocab; };
  for (const std::int64_t token : inputs.tokens)
    require(known(token), "tokens below the vocabulary of " + text(capacity.vocab), text(token));
  for (const std::int64_t label : inputs.labels)
    require(known(label) || label == kIgnored,
            "labels below the vocabulary of " + text(capacity.vocab) + ", or -100", text(label));
  for (const std::int32_t position : inputs.positions)
    require(position >= 0, "positions of 0 or above", text(position));
  check_boundaries(inputs, capacity);
  check_settings(inputs.settings);
}

void pack(const StepInputs& inputs, const StepPlan& plan, std::byte* to) {
  const Program& program = plan.program();
  const auto place = [&](const char* name) {
    return to + plan.layout().offsets[static_cast<std::size_t>(program.find(name))] - plan.layout().inputs;
  };
  const StepCapacity capacity = capacity_of(plan);
  put<std::int64_t>(inputs.tokens, 0, capacity.tokens, place("tokens"));
  put<std::int64_t>(inputs.labels, kIgnored, capacity.tokens, place("labels"));
  put<std::int32_t>(inputs.boundaries, inputs.boundaries.back(), capacity.sequences + 1, place("boundaries"));
  put<std::int32_t>(inputs.positions, 0, capacity.tokens, place("positions"));
  if (inputs.positions.empty()) {
    auto* const positions = reinterpret_cast<std::int32_t*>(place("positions"));
    for (std::size_t i = 0; i + 1 < inputs.boundaries.size(); ++i)
      for (std::int32_t t = inputs.boundaries[i]; t < inputs.boundaries[i + 1]; ++t)
        positions[t] = t - inputs.boundaries[i];
  }
  const StepSettings& s = inputs.settings;
  const float settings[] = {s.learning_rate, s.step, s.weight_decay, s.largest_norm};
  put<float>(settings, 0.0f, 4, place("settings"));
}

}  // namespace assay::kernels::compile
