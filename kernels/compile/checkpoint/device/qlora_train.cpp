// SPDX-License-Identifier: Apache-2.0
// qlora_train: a Hugging Face Llama and a file of token ids in, a PEFT adapter out, on this GPU. `--help`
// says how; docs/compiled_step.md has an example.
#include <cuda_runtime_api.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <iostream>
#include <optional>
#include <stdexcept>

#include "kernels/compile/checkpoint/device/token_lines.hpp"
#include "kernels/compile/checkpoint/device/training.hpp"

namespace {

using namespace assay::kernels::compile;              // NOLINT: a program of this room
using namespace assay::kernels::compile::checkpoint;  // NOLINT

struct Options {
  std::filesystem::path model, tokens, out;
  DeviceTraining training;
  int steps = 0, warm_up = 0;
  float learning_rate = 2e-4f, weight_decay = 0.0f, largest_norm = 1.0f;
  int report_every = 10;
  std::optional<float> loss_scale;
};

void add_options(CLI::App& app, Options& o) {
  CheckpointOptions& c = o.training.checkpoint;
  c.tokens = 4096, c.sequences = 8;
  app.add_option("model", o.model, "Hugging Face folder of a Llama")->required();
  app.add_option("tokens", o.tokens, "text file, one sequence of token ids a line")->required();
  app.add_option("out", o.out, "folder for the PEFT adapter")->required();
  app.add_option("--step-tokens", c.tokens, "tokens of a step, packed");
  app.add_option("--step-sequences", c.sequences, "sequences of a step at most");
  app.add_option("--longest", o.training.longest_sequence, "tokens of one sequence at most; 0: a step's");
  app.add_option("--steps", o.steps, "0: once over the file");
  app.add_option("--learning-rate", o.learning_rate, "highest; falls to 0 linearly");
  app.add_option("--loss-scale", o.loss_scale, "initial one, a power of two; 0: none; f16 begins with 16");
  app.add_option("--warm-up", o.warm_up, "steps in which it rises");
  app.add_option("--weight-decay", o.weight_decay);
  app.add_option("--largest-norm", o.largest_norm, "of all gradients together; 0: any");
  app.add_option("--rank", c.lora.rank)
      ->excludes(app.add_option("--adapters", c.adapters, "PEFT folder to go on from"));
  app.add_option("--alpha", c.lora.alpha);
  app.add_option("--targets", c.lora.target_modules, "linears with adapters")->delimiter(',');
  app.add_option("--seed", c.seed, "of new adapters");
  app.add_option("--cache", o.training.program_cache, "folder for compiled attention programs");
  app.add_option("--report-every", o.report_every, "steps between printed losses")
      ->check(CLI::PositiveNumber);
  const std::map<std::string, ElementType> types = {{"bf16", ElementType::kBfloat16},
                                                    {"f16", ElementType::kFloat16}};
  app.add_option("--type", c.compute)->transform(CLI::CheckedTransformer(types));
  const std::map<std::string, bool> bases = {{"nf4", true}, {"dense", false}};
  app.add_option("--base", c.packed_base)->transform(CLI::CheckedTransformer(bases));
  const std::map<std::string, Keep> keeps = {{"everything", Keep::kEverything},
                                             {"products", Keep::kProducts},
                                             {"attention", Keep::kAttention},
                                             {"input", Keep::kInput}};
  app.add_option("--keep", c.keep, "for backward")->transform(CLI::CheckedTransformer(keeps));
}

/// Rises through the warm-up, then falls to 0 behind the last step.
float rate_of(const Options& o, int step) {
  const auto at = static_cast<float>(step), steps = static_cast<float>(o.steps),
             rise = static_cast<float>(o.warm_up);
  return o.learning_rate *
         (step <= o.warm_up ? at / rise : (steps + 1 - at) / std::max(steps + 1 - rise, 1.0f));
}

void require_gpu() {
  int devices = 0;
  if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0)
    throw std::runtime_error("expected a GPU, found none");
}

void run(Options& o) {
  const CheckpointOptions& c = o.training.checkpoint;
  const LlamaConfig config = read_llama_config(o.model / "config.json");
  const std::int64_t longest = o.training.longest_sequence == 0 ? c.tokens : o.training.longest_sequence;
  const std::vector<PackedBatch> batches =
      pack_sequences(read_token_lines(o.tokens, config.shape.vocab), {.tokens = c.tokens,
                                                                      .sequences = c.sequences,
                                                                      .longest_sequence = longest,
                                                                      .vocab = config.shape.vocab});
  if (o.steps == 0)
    o.steps = static_cast<int>(batches.size());
  Training training;
  training.report_every = o.report_every;
  training.report = [](int step, float loss) { std::printf("step %d: loss %.4f\n", step, loss); };
  training.next = [&](int step) -> std::optional<StepInputs> {
    if (step > o.steps)
      return std::nullopt;
    return batches[static_cast<std::size_t>(step - 1) % batches.size()].inputs(
        {.learning_rate = rate_of(o, step),
         .step = static_cast<float>(step),
         .weight_decay = o.weight_decay,
         .largest_norm = o.largest_norm});
  };
  o.training.loss_scaling.initial = o.loss_scale.value_or(c.compute == ElementType::kFloat16 ? 16.0f : 0.0f);
  require_gpu();
  const int steps = train_from_checkpoint(o.model, o.training, training, o.out);
  std::printf("%d steps; adapter in %s\n", steps, o.out.c_str());
}

}  // namespace

int main(int count, char** words) {
  CLI::App app("Trains adapters of a Llama whose base is NF4, as one captured graph.", "qlora_train");
  Options options;
  add_options(app, options);
  CLI11_PARSE(app, count, words);
  try {
    run(options);
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "qlora_train: " << error.what() << "\n";
    return 2;
  }
}
