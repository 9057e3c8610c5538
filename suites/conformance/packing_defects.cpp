// SPDX-License-Identifier: Apache-2.0
// Several sequences in one row must be as good as each alone: attention, positions, labels.
#include <ATen/Context.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>

#include <cstring>
#include <functional>

#include "kernels/compile/checkpoint/device/token_lines.hpp"
#include "kernels/compile/eager/operations.hpp"
#include "kernels/compile/step_program.hpp"
#include "suites/conformance/defects.hpp"
#include "suites/conformance/paths.hpp"
#include "suites/conformance/text.hpp"

namespace assay::suites::conformance {
namespace {

namespace ours = kernels::compile;
using at::Tensor;

// ---- attention

constexpr std::int64_t kHeads = 2, kHead = 8;

using Attention = std::function<void(const ours::eager::AttentionTensors&)>;

void attention(const ours::eager::AttentionTensors& t) {
  ours::eager::attention(t, kHead);
}
/// One sequence, however many there are.
void attention_without_boundaries(const ours::eager::AttentionTensors& t) {
  ours::eager::AttentionTensors all = t;
  all.boundaries = t.boundaries.index_select(0, at::tensor({std::int64_t{0}, t.boundaries.numel() - 1}));
  attention(all);
}

ours::eager::AttentionTensors random_tensors(std::int64_t rows) {
  const auto random = [rows] { return at::randn({rows, kHeads * kHead}, at::kFloat); };
  return {random(),
          random(),
          random(),
          at::empty({rows, kHeads * kHead}, at::kFloat),
          at::empty({rows, kHeads}, at::kFloat),
          {}};
}

void sequences_do_not_see_each_other(const Attention& attend) {
  constexpr std::int64_t kFirst = 7, kSecond = 12;
  at::manual_seed(4);
  ours::eager::AttentionTensors packed = random_tensors(kFirst + kSecond), alone = random_tensors(kSecond);
  packed.boundaries = at::tensor({0, int{kFirst}, int{kFirst + kSecond}}, at::kInt);
  alone.boundaries = at::tensor({0, int{kSecond}}, at::kInt);
  for (const auto member : {&ours::eager::AttentionTensors::q, &ours::eager::AttentionTensors::k,
                            &ours::eager::AttentionTensors::v})
    alone.*member = (packed.*member).narrow(0, kFirst, kSecond).contiguous();
  answer([&] { attend(packed), attend(alone); });
  const Tensor found = packed.o.narrow(0, kFirst, kSecond);
  demand_error("the second sequence beside another",
               (found - alone.o).norm().item<double>() / alone.o.norm().item<double>(), 1e-6);
}

// ---- positions

using Positions = std::function<std::vector<std::int32_t>(const ours::StepInputs&)>;

ours::StepOptions tiny() {
  ours::StepOptions options;
  options.shape = {.layers = 1,
                   .hidden = 128,
                   .intermediate = 192,
                   .heads = 2,
                   .kv_heads = 1,
                   .head_dim = 64,
                   .vocab = 101,
                   .lora_rank = 8};
  options.tokens = 16, options.sequences = 3;
  return options;
}

std::vector<std::int32_t> positions_of_step(const ours::StepInputs& inputs) {
  const ours::StepPlan plan(ours::step_program(tiny()), {});
  std::vector<std::byte> bytes(plan.layout().input_bytes);
  ours::check(inputs, ours::capacity_of(plan));
  ours::pack(inputs, plan, bytes.data());
  const auto buffer = static_cast<std::size_t>(plan.program().find("positions"));
  std::vector<std::int32_t> out(inputs.tokens.size());
  std::memcpy(out.data(), bytes.data() + plan.layout().offsets[buffer] - plan.layout().inputs,
              4 * out.size());
  return out;
}
std::vector<std::int32_t> positions_of_row(const ours::StepInputs& inputs) {
  std::vector<std::int32_t> out;
  for (std::size_t i = 0; i < inputs.tokens.size(); ++i) out.push_back(static_cast<std::int32_t>(i));
  return out;
}

void positions_begin_anew(const Positions& of) {
  const std::vector<std::int64_t> tokens(9, 5), labels(9, -100);
  const std::vector<std::int32_t> boundaries = {0, 4, 9}, wanted = {0, 1, 2, 3, 0, 1, 2, 3, 4};
  ours::StepInputs inputs;
  inputs.tokens = tokens, inputs.labels = labels, inputs.boundaries = boundaries;
  inputs.settings.learning_rate = 1e-3f;
  const auto found = answer([&] { return of(inputs); });
  demand(found == wanted, text("positions ", joined(wanted)), text(joined(found)));
}

// ---- labels

using Sequences = std::vector<std::vector<std::int64_t>>;
using Labels = std::function<std::vector<std::int64_t>(const Sequences&)>;

std::vector<std::int64_t> labels_of_batch(const Sequences& sequences) {
  const ours::StepCapacity capacity{.tokens = 64, .sequences = 8, .longest_sequence = 32, .vocab = 101};
  return ours::checkpoint::pack_sequences(sequences, capacity).front().labels;
}
/// The next token of the row, whoever it belongs to.
std::vector<std::int64_t> labels_of_row(const Sequences& sequences) {
  std::vector<std::int64_t> out;
  for (const auto& sequence : sequences) out.insert(out.end(), sequence.begin(), sequence.end());
  out.erase(out.begin());
  out.push_back(-100);
  return out;
}

void the_last_token_predicts_nothing(const Labels& of) {
  const std::vector<std::int64_t> wanted = {11, 12, -100, 21, -100, -100, 41, 42, 43, -100};
  const auto found = answer([&] { return of({{10, 11, 12}, {20, 21}, {30}, {40, 41, 42, 43}}); });
  demand(found == wanted, text("labels ", joined(wanted)), text(joined(found)));
}

}  // namespace

std::vector<Defect> packing_defects() {
  return {defect({"huggingface/trl", 805, "packed sequences attend to each other", kPackedSteps}, attention,
                 attention_without_boundaries, sequences_do_not_see_each_other),
          defect({"huggingface/nanoVLM", 201, "positions go on counting from one packed sequence to the next",
                  kPackedSteps},
                 positions_of_step, positions_of_row, positions_begin_anew),
          defect({"huggingface/transformers", 31629,
                  "a packed sequence's last token is trained to predict the next sequence", kPackedSteps},
                 labels_of_batch, labels_of_row, the_last_token_predicts_nothing)};
}

}  // namespace assay::suites::conformance
