// SPDX-License-Identifier: Apache-2.0
#include "tests/compile/step_parity.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>

namespace assay::testing {

using at::Tensor;
using namespace kernels::compile;  // NOLINT: whose steps these are

namespace {

std::vector<float> floats_of(const Tensor& tensor) {
  const Tensor flat = tensor.contiguous();
  return {flat.const_data_ptr<float>(), flat.const_data_ptr<float>() + flat.numel()};
}
std::vector<std::int64_t> integers_of(const Tensor& tensor) {
  return {tensor.const_data_ptr<std::int64_t>(), tensor.const_data_ptr<std::int64_t>() + tensor.numel()};
}
template <class T>
std::vector<T> values_of(const Tensor& tensor) {
  const Tensor flat = tensor.contiguous();
  const auto* const data = static_cast<const T*>(flat.const_data_ptr());
  return {data, data + flat.numel()};
}

/// What the eager step was given, as bytes: the frozen tensors by name, and the packed weights.
FrozenWeights frozen_weights(Problem& p, const EagerStep& eager, const Program& program) {
  FrozenWeights weights;
  for (const Buffer& buffer : program.buffers) {
    if (buffer.role != Role::kFrozen || buffer.element == Element::kPacked)
      continue;
    const Tensor tensor = eager.tensor(buffer.name).contiguous();
    std::vector<std::byte>& bytes = weights.dense[buffer.name];
    bytes.resize(tensor.nbytes());
    std::memcpy(bytes.data(), tensor.const_data_ptr(), bytes.size());
  }
  for (std::size_t i = 0; i < p.model.layers.size(); ++i) {
    for (const auto& [name, of] : linears_of(p.model.layers[i])) {
      if (!of.linear->four_bit)
        continue;
      const auto& w = *of.linear->four_bit;
      weights.packed["layers." + std::to_string(i) + "." + name] = {
          values_of<std::uint8_t>(w.packed), values_of<std::uint8_t>(w.absmax),
          values_of<float>(w.nested_absmax), values_of<float>(w.nested_code),
          values_of<float>(w.nested_offset)};
    }
  }
  return weights;
}

template <class Visit>
void for_each_adapter(const Program& program, const Visit& visit) {
  for (const Buffer& buffer : program.buffers)
    if (buffer.role == Role::kAdapter)
      visit(buffer.name);
}

double distance(const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i)
    sum += (static_cast<double>(a[i]) - b[i]) * (static_cast<double>(a[i]) - b[i]);
  return a.size() == b.size() && std::isfinite(sum) ? std::sqrt(sum)
                                                    : std::numeric_limits<double>::infinity();
}

/// One rounding of a number of the compute type: below this no run can promise anything of a loss.
double unit(ComputeType type) {
  return type == ComputeType::kFloat16 ? 0x1p-11 : 0x1p-8;
}

}  // namespace

std::string name_of(const ParityCase& c) {
  const char* const keeps[] = {"everything", "products", "attention", "input"};
  return std::string(c.compute == ComputeType::kFloat16 ? "f16" : "bf16") + (c.packed ? "_nf4" : "_dense") +
         (c.tied ? "_tied" : "_untied") + "_keep_" + keeps[static_cast<int>(c.keep)] +
         (c.first ? std::string("_first_") + keeps[static_cast<int>(*c.first)] : "") +
         (c.padding > 0 ? "_padded" : "_full");
}

std::vector<ParityCase> parity_cases() {
  std::vector<ParityCase> cases;
  for (const ComputeType compute : {ComputeType::kFloat16, ComputeType::kBfloat16})
    for (const bool packed : {false, true})
      for (const Keep keep : {Keep::kEverything, Keep::kInput})
        cases.push_back({.tied = keep == Keep::kInput, .packed = packed, .keep = keep, .compute = compute});
  cases.push_back({.keep = Keep::kProducts});
  cases.push_back({.keep = Keep::kAttention});
  cases.push_back({.keep = Keep::kProducts, .first = Keep::kAttention});
  cases.push_back({.padding = 0, .chunk_rows = 0});
  return cases;
}

Parity::Parity(const ParityCase& the_case)
    : c(the_case),
      problem(testing::problem(c.tied, c.packed, ProblemSize::kDevice)),
      tokens(integers_of(problem.tokens)),
      labels(integers_of(problem.labels)),
      boundaries(boundaries_of(problem.lengths)) {
  const EagerStep eager = step_of(problem, c.keep, scalar_type(), c.packed);
  const Program program = step_program(options_of(problem, c.keep, c.packed));
  weights = frozen_weights(problem, eager, program);
  for_each_adapter(program, [&](const std::string& name) { adapters[name] = floats_of(eager.tensor(name)); });
}

at::ScalarType Parity::scalar_type() const {
  return c.compute == ComputeType::kFloat16 ? at::kHalf : at::kBFloat16;
}

StepSetup Parity::setup(const std::function<void(Program&)>& change) const {
  StepOptions options = options_of(problem, c.keep, c.packed);
  if (c.first)
    options.keep_by_layer = keep_less_first(options.shape.layers, 1, *c.first, c.keep);
  options.tokens += c.padding;
  options.sequences += c.padding > 0 ? 2 : 0;
  StepSetup setup{.program = step_program(options), .compute = c.compute, .chunk_rows = c.chunk_rows};
  if (change)
    change(setup.program);
  return setup;
}

std::unique_ptr<StepUnderTest> Parity::make(const MakeStep& make, StepSetup setup) const {
  auto step = make(std::move(setup), weights);
  for (const auto& [name, values] : adapters) step->set(name, values);
  return step;
}

StepInputs Parity::inputs(int step) const {
  return {.tokens = tokens,
          .labels = labels,
          .boundaries = boundaries,
          .positions = {},
          .settings = {.learning_rate = kRate / static_cast<float>(step),
                       .step = static_cast<float>(step),
                       .weight_decay = 0.1f,
                       .largest_norm = 1.0f}};
}

Trace Parity::trace(StepUnderTest& step, int steps) const {
  Trace trace;
  for (int i = 1; i <= steps; ++i) {
    step.load(inputs(i));
    step.run();
    trace.losses.push_back(step.get("loss").front());
    if (i == 1)
      for (const auto& [name, values] : adapters) trace.gradients[name] = step.get(name + ".gradient");
  }
  for (const auto& [name, values] : adapters) trace.adapters[name] = step.get(name);
  return trace;
}

Trace Parity::eager(at::ScalarType type, int steps) const {
  EagerStep step = step_of(problem, c.keep, type, c.packed);
  Trace trace;
  for (int i = 1; i <= steps; ++i) {
    const StepSettings s = inputs(i).settings;
    step.bind("settings", at::tensor({s.learning_rate, s.step, s.weight_decay, s.largest_norm}));
    step.run();
    trace.losses.push_back(step.tensor("loss").item<float>());
    if (i == 1)
      for (const auto& [name, values] : adapters)
        trace.gradients[name] = floats_of(step.tensor(name + ".gradient"));
  }
  for (const auto& [name, values] : adapters) trace.adapters[name] = floats_of(step.tensor(name));
  return trace;
}

const Trace& Parity::eager_trace(at::ScalarType type, int steps) const {
  const std::pair key{static_cast<int>(type), steps};
  auto found = eager_traces_.find(key);
  if (found == eager_traces_.end())
    found = eager_traces_.emplace(key, eager(type, steps)).first;
  return found->second;
}

Parity::Deviation Parity::farthest(const Trace& found, int steps) const {
  const Trace &exact = eager_trace(at::kFloat, steps), &same = eager_trace(scalar_type(), steps);
  Deviation worst;
  const auto compare = [&](const std::string& where, double from_exact, double from_same, double allowed) {
    if (const double share = std::max(from_exact, from_same) / allowed; !(share <= worst.share))
      worst = {share, where + (from_exact >= from_same ? " against f32" : " against the eager run")};
  };
  const auto compare_all = [&](const char* what, double factor, const auto& of_found, const auto& of_exact,
                               const auto& of_same) {
    for (const auto& [name, values] : of_exact) {
      const auto& ours = of_found.at(name);
      compare(what + name, distance(ours, values), distance(ours, of_same.at(name)),
              factor * distance(of_same.at(name), values));
    }
  };
  compare_all("gradient of ", kFactor, found.gradients, exact.gradients, same.gradients);
  compare_all("after the steps ", kFactorBehindAdamW, found.adapters, exact.adapters, same.adapters);
  double deviation = 0;
  for (std::size_t i = 0; i < exact.losses.size(); ++i)
    deviation = std::max(deviation, std::abs(same.losses[i] - exact.losses[i]));
  for (std::size_t i = 0; i < exact.losses.size(); ++i) {
    const double allowed =
        (i == 0 ? kFactor : kFactorBehindAdamW) * std::max(deviation, unit(c.compute) * exact.losses[i]);
    const double ours =
        std::isfinite(found.losses[i]) ? found.losses[i] : std::numeric_limits<double>::infinity();
    compare("loss " + std::to_string(i), std::abs(ours - exact.losses[i]), std::abs(ours - same.losses[i]),
            allowed);
  }
  return worst;
}

void Parity::expect_parity(const MakeStep& make_step, int steps) const {
  const auto step = make(make_step, setup());
  const Deviation found = farthest(trace(*step, steps), steps);
  std::printf("[ %s ] %.2f of what is allowed: %s\n", name_of(c).c_str(), found.share, found.where.c_str());
  EXPECT_LE(found.share, 1.0) << name_of(c) << ": " << found.where;
}

}  // namespace assay::testing
