// SPDX-License-Identifier: Apache-2.0
// Trains a folder's Llama with the eager step, for comparison with transformers, peft and bitsandbytes:
//   checkpoint_probe MODEL TOKENS.safetensors OUT [nf4] [adapters=FOLDER] [steps=K]
// TOKENS holds `tokens` and `labels`, int64 [B, T], labels as transformers wants them. OUT/adapter gets the
// adapters after K steps; OUT/numbers.safetensors `before` and `after`, the losses in f32, and what packed
// weights are bound to, under the buffers' names. Every line of standard input is one such list.
#include <ATen/ops/empty.h>
#include <ATen/ops/tensor.h>

#include <cstring>
#include <iostream>
#include <sstream>

#include "kernels/compile/checkpoint/step_checkpoint.hpp"
#include "reference/llama/safetensors.hpp"
#include "tests/compile/trainees.hpp"

namespace {

using namespace assay::kernels::compile;              // NOLINT: whose probe this is
using namespace assay::kernels::compile::checkpoint;  // NOLINT
using Tensors = std::map<std::string, at::Tensor>;

struct Arguments {
  std::filesystem::path model, tokens, out, adapters;
  bool packed_base = false;
  int steps = 0;
};

Arguments parse(const std::string& line) {
  Arguments a;
  std::istringstream words(line);
  words >> a.model >> a.tokens >> a.out;
  for (std::string word; words >> word;) {
    if (word == "nf4")
      a.packed_base = true;
    else if (word.starts_with("adapters="))
      a.adapters = word.substr(9);
    else if (word.starts_with("steps="))
      a.steps = std::stoi(word.substr(6));
    else
      throw std::invalid_argument("expected nf4, adapters= or steps=, found " + word);
  }
  return a;
}

/// Passes on what it sees.
class Recorder final : public WeightSink {
 public:
  Recorder(WeightSink& sink, Tensors& seen) : sink_(sink), seen_(seen) {}
  void dense(const std::string& name, std::span<const std::byte> elements) override {
    sink_.dense(name, elements);
  }
  void packed(const std::string& name, const assay::kernels::nf4::PackedWeights& w) override {
    const std::int64_t blocks = w.num_blocks();
    keep(name, w.packed, (w.num_weights + 1) / 2, at::kByte);
    keep(name + ".absmax", w.absmax_codes, blocks, at::kByte);
    keep(name + ".nested_absmax", w.nested_absmax, (blocks + w.nested_block_size - 1) / w.nested_block_size,
         at::kFloat);
    keep(name + ".nested_offset", w.nested_offset, 1, at::kFloat);
    sink_.packed(name, w);
  }
  void adapter(const std::string& name, std::span<const float> values) override {
    sink_.adapter(name, values);
  }

 private:
  void keep(const std::string& name, const void* data, std::int64_t count, at::ScalarType type) {
    seen_[name] = at::empty({count}, type);
    std::memcpy(seen_[name].mutable_data_ptr(), data, seen_[name].nbytes());
  }
  WeightSink& sink_;
  Tensors& seen_;
};

struct Batch {
  std::vector<std::int64_t> tokens, labels;
  std::vector<std::int32_t> boundaries = {0};
};

/// Rows become sequences; a position's label is the next position's of transformers.
Batch batch_of(const at::Tensor& tokens, const at::Tensor& labels) {
  Batch batch;
  const std::int64_t length = tokens.size(1);
  for (std::int64_t row = 0; row < tokens.size(0); ++row) {
    const auto* ids = tokens.const_data_ptr<std::int64_t>() + row * length;
    const auto* wanted = labels.const_data_ptr<std::int64_t>() + row * length;
    batch.tokens.insert(batch.tokens.end(), ids, ids + length);
    batch.labels.insert(batch.labels.end(), wanted + 1, wanted + length);
    batch.labels.push_back(-100);
    batch.boundaries.push_back(static_cast<std::int32_t>(batch.tokens.size()));
  }
  return batch;
}

void run(const Arguments& a) {
  const assay::reference::llama::SafetensorsFile input(a.tokens);
  const Batch batch = batch_of(input.read("tokens"), input.read("labels"));
  CheckpointOptions options{.tokens = std::ssize(batch.tokens),
                            .sequences = std::ssize(batch.boundaries) - 1,
                            .compute = ElementType::kFloat32,
                            .packed_base = a.packed_base,
                            .adapters = a.adapters};
  options.lora.rank = 4, options.seed = 3;
  const StepCheckpoint checkpoint(a.model, options);
  const auto trainee = assay::testing::make_eager_trainee(checkpoint, ElementType::kFloat32);
  Tensors numbers;
  Recorder recorder(trainee->weights(), numbers);
  checkpoint.load(recorder);
  const auto step = [&](int number, float rate) {
    trainee->run({.tokens = batch.tokens,
                  .labels = batch.labels,
                  .boundaries = batch.boundaries,
                  .positions = {},
                  .settings = {.learning_rate = rate, .step = static_cast<float>(number)}});
    return at::tensor(trainee->loss());
  };
  numbers["before"] = step(1, a.steps == 0 ? 0.0f : 5e-3f);
  for (int i = 2; i <= a.steps; ++i) step(i, 5e-3f);
  checkpoint.save_adapters(a.out / "adapter",
                           [&](const std::string& name) { return trainee->adapter(name); });
  numbers["after"] = step(a.steps + 1, 0.0f);
  assay::reference::llama::write_safetensors(a.out / "numbers.safetensors", numbers);
}

}  // namespace

int main() {
  try {
    for (std::string line; std::getline(std::cin, line);) run(parse(line));
  } catch (const std::exception& error) {
    std::cerr << "checkpoint_probe: " << error.what() << "\n";
    return 2;
  }
  return 0;
}
