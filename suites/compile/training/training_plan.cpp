// SPDX-License-Identifier: Apache-2.0
#include "suites/compile/training/training_plan.hpp"

#include <random>

#include "kernels/compile/device/bench/bench_options.hpp"
#include "kernels/compile/device/bench/random_weights.hpp"

namespace assay::suites::compile {
namespace {

namespace bench = kernels::compile::bench;
using kernels::compile::Keep;
using kernels::compile::Program;
using kernels::compile::Role;
using Json = nlohmann::ordered_json;

kernels::compile::LlamaShape shape_of(const TrainingPlan& plan) {
  bench::BenchOptions options;
  options.shape = plan.shape;
  return bench::shape_of(options);
}

Json pair_of(const bench::Uniform& numbers) {
  return Json::array({numbers.low, numbers.high});
}

}  // namespace

std::string Policy::name() const {
  const std::string all = bench::name_of(keep);
  return lean_layers == 0
             ? all
             : all + ", first " + std::to_string(lean_layers) + " layers " + bench::name_of(lean);
}

kernels::compile::StepOptions step_options(const TrainingPlan& plan, const Policy& policy) {
  kernels::compile::StepOptions options;
  options.shape = shape_of(plan);
  options.tokens = (plan.tokens() + 127) / 128 * 128;  // products like whole tiles of rows
  options.sequences = plan.batch;
  options.lora_scale = 2.0;
  options.keep = policy.keep;
  if (policy.lean_layers > 0)
    options.keep_by_layer =
        kernels::compile::keep_less_first(options.shape.layers, policy.lean_layers, policy.lean, policy.keep);
  return options;
}

std::vector<std::int64_t> training_tokens(const TrainingPlan& plan) {
  constexpr std::int64_t kFactor = 5, kShift = 7;
  const std::int64_t words = plan.words > 0 ? plan.words : shape_of(plan).vocab;
  std::mt19937_64 random(plan.seed);  // whose bits are the standard's
  std::vector<std::int64_t> tokens;
  std::int64_t last = 0;
  for (std::int64_t i = 0; i < plan.batches * plan.tokens(); ++i) {
    const std::uint64_t bits = random();
    last = bits % 4 != 0 ? (kFactor * last + kShift) % words
                         : static_cast<std::int64_t>((bits >> 8) % static_cast<std::uint64_t>(words));
    tokens.push_back(last);
  }
  return tokens;
}

std::vector<float> first_adapters(const TrainingPlan& plan) {
  const Program program = step_program(step_options(plan, {.keep = Keep::kInput}));
  const std::map<std::string, std::uint32_t> seeds = bench::seeds_of(program);
  std::vector<float> all;
  for (const auto& buffer : program.buffers) {
    if (buffer.role != Role::kAdapter)
      continue;
    const std::vector<float> values = bench::random_adapter(buffer, seeds.at(buffer.name));
    all.insert(all.end(), values.begin(), values.end());
  }
  return all;
}

Json peer_specification(const TrainingPlan& plan, const std::filesystem::path& tokens,
                        const std::string& device, const std::string& dtype) {
  const kernels::compile::LlamaShape shape = shape_of(plan);
  const Program program = step_program(step_options(plan, {.keep = Keep::kInput}));
  Json adapters = Json::array();
  for (const auto& buffer : program.buffers)
    if (buffer.role == Role::kAdapter)
      adapters.push_back(buffer.name);
  return {{"device", device},
          {"dtype", dtype},
          {"shape",
           {{"vocab", shape.vocab},
            {"hidden", shape.hidden},
            {"intermediate", shape.intermediate},
            {"layers", shape.layers},
            {"heads", shape.heads},
            {"kv_heads", shape.kv_heads},
            {"head_dim", shape.head_dim},
            {"tied", shape.tied}}},
          {"rope_theta", bench::rope_theta(plan.shape)},
          {"rank", shape.lora_rank},
          {"batch", plan.batch},
          {"length", plan.length},
          {"tokens", tokens.string()},
          {"reversed", plan.reversed},
          {"attention", plan.attention},
          {"learning_rate", plan.learning_rate},
          {"weight_decay", plan.weight_decay},
          {"numbers",
           {{"matrix", pair_of(bench::kMatrixNumbers)},
            {"norm", pair_of(bench::kNormNumbers)},
            {"nested_absmax", pair_of(bench::kNestedAbsmaxNumbers)},
            {"nested_offset", bench::kNestedOffset}}},
          {"adapters", std::move(adapters)},
          {"seeds", bench::seeds_of(program)}};
}

}  // namespace assay::suites::compile
