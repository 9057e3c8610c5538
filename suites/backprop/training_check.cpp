// SPDX-License-Identifier: Apache-2.0
#include "suites/backprop/training_check.hpp"

#include <c10/cuda/CUDACachingAllocator.h>

#include <nlohmann/json.hpp>
#include <stdexcept>

#include "reference/llama/load.hpp"
#include "suites/backprop/text.hpp"
#include "suites/backprop/training_losses.hpp"
#include "suites/backprop/training_text.hpp"

namespace assay::suites::backprop {
namespace {

using json = nlohmann::ordered_json;
namespace llama = reference::llama;

constexpr std::size_t kLeastGpuBytes = std::size_t{48} << 30;  // traces of the head in f32 alone take 9

TrainingPlan large_training_plan(Trained trained) {
  TrainingPlan plan = small_training_plan(trained);
  plan.batch = 2;
  plan.length = 511;
  plan.lora_rank = 16;
  plan.learning_rate = trained == Trained::kAdapters ? 5e-4 : 2e-4;
  return plan;
}

json as_json(const TrainingVerdict& verdict) {
  const auto beside = [](double found, double naive) {
    return json{{"difference", found}, {"naive_difference", naive}, {"allowed_multiple", kTrainingBand}};
  };
  const auto& found = verdict.candidate;
  const auto& naive = verdict.naive;
  return {{"first_loss", verdict.first_loss},
          {"last_loss", verdict.last_loss},
          {"loss_rms", beside(found.loss, naive.loss)},
          {"gradient_norm_rms", beside(found.gradient_norm, naive.gradient_norm)},
          {"first_gradient", beside(found.first_gradient, naive.first_gradient)},
          {"parameters", beside(found.parameters, naive.parameters)}};
}

void refuse_small_devices(const harness::DeviceFacts& facts) {
  if (facts.memory_bytes < kLeastGpuBytes)
    throw harness::Skip(text("expected a GPU with ", kLeastGpuBytes >> 30, " GiB for Llama-3.2-1B, found ",
                             facts.memory_bytes >> 30));
  if (facts.sm < 80)
    throw harness::Skip(text("expected a GPU with bf16 arithmetic (sm_80), found sm_", facts.sm));
}

/// Both variants with weights of one type; adds their evidence, returns what is wrong with them.
std::string run_variants(const llama::LlamaConfig& config, c10::Device device, int naive_orders,
                         json& evidence) {
  std::string faults;
  const llama::Llama base = llama::random_llama(config, 3407, {.device = device, .dtype = {}});
  for (const Trained trained : {Trained::kAdapters, Trained::kHead}) {
    const TrainingPlan plan = device.is_cuda() ? large_training_plan(trained) : small_training_plan(trained);
    const std::int64_t rows = plan.batch * plan.length;
    const auto verdict =
        compare_training(plan, base, naive_orders, memory_efficient_training(2 * rows / 7 + 1));
    const std::string name = text(trained == Trained::kAdapters ? "lora_frozen_head" : "full_head", "_",
                                  config.dtype == llama::FloatType::kFloat32 ? "f32" : "bf16");
    evidence["steps"] = plan.steps;
    evidence["rows_a_step"] = rows;
    evidence["variants"][name] = as_json(verdict);
    evidence["variants"][name]["naive_orders"] = naive_orders;
    if (!verdict.reason.empty())
      faults += text(name, ": ", verdict.reason, "; ");
  }
  return faults;
}

/// What is measured next finds the GPU's memory as free as it was.
struct GpuMemoryReturned {
  bool on_gpu;
  ~GpuMemoryReturned() {
    if (on_gpu)
      c10::cuda::CUDACachingAllocator::emptyCache();
  }
};

std::string run_check(const harness::DeviceFacts& facts) {
  const bool on_gpu = facts.kind == harness::DeviceKind::kCuda;
  if (on_gpu)
    refuse_small_devices(facts);
  const GpuMemoryReturned returned{on_gpu};
  auto config = on_gpu ? llama::published_config("llama-3.2-1b") : small_training_config();
  json evidence{{"model", on_gpu ? "llama-3.2-1b, random weights" : "small llama, random weights"},
                {"llama_1b", on_gpu},
                {"text", "common-licenses, bytes"},
                {"loss_matches", true},
                {"loss_fell", true}};
  config.dtype = llama::FloatType::kFloat32;
  std::string faults = run_variants(config, on_gpu ? at::kCUDA : at::kCPU, on_gpu ? 4 : 2, evidence);
  config.dtype = llama::FloatType::kBfloat16;
  if (on_gpu)
    faults += run_variants(config, at::kCUDA, 4, evidence);
  if (!faults.empty()) {
    for (const char* claim : {"loss_matches", "loss_fell"}) evidence.erase(claim);
    throw std::runtime_error(faults + evidence.dump());
  }
  return evidence.dump();
}

}  // namespace

TrainingVerdict compare_training(const TrainingPlan& plan, const llama::Llama& base, int naive_orders,
                                 const TrainingRun& candidate) {
  std::vector<TrainingTrace> naive;
  const bool narrow = base.config.dtype != llama::FloatType::kFloat32;
  for (const TrainingRun& run : naive_trainings(naive_orders, narrow))
    naive.push_back(train(plan, base, run));
  return judge(naive, train(plan, base, candidate));
}

llama::LlamaConfig small_training_config() {
  llama::LlamaConfig config;
  config.vocab_size = 300;
  config.hidden_size = 48;
  config.intermediate_size = 96;
  config.num_layers = 2;
  config.num_heads = 4;
  config.num_kv_heads = 2;
  config.head_dim = 12;
  config.rope_scaling = llama::RopeScaling{};
  config.initializer_range = 0.1;
  return config;
}

TrainingPlan small_training_plan(Trained trained) {
  TrainingPlan plan;
  plan.trained = trained;
  plan.tokens = bytes_of_licences();
  plan.learning_rate = trained == Trained::kAdapters ? 5e-3 : 1e-2;
  return plan;
}

harness::Challenge::SuiteCheck llama_training_check() {
  return {.name = "llama_training", .measures = false, .subject = "memory_efficient", .run = run_check};
}

}  // namespace assay::suites::backprop
