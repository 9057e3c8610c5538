// SPDX-License-Identifier: Apache-2.0
// Part C of the public challenge: eleven lines, nine points. The first speaks of flex attention and is
// decided by its challenge; the others from the check hf_llama of compile/torch_compile: a Hugging Face Llama
// under torch.compile on a GPU. Records of other single pieces earn nothing here. Products are not searched
// there: those two lines are decided by the table of the captured step (compile/training_step).
#include "suites/compile/rubric.hpp"

#include <nlohmann/json.hpp>

#include "harness/report/rubrics.hpp"
#include "suites/compile/rubric_evidence.hpp"
#include "suites/compile/torch_compile/check.hpp"
#include "suites/compile/training/checks.hpp"

namespace assay::suites::compile {
namespace {

using harness::Check;
using harness::CurrentSources;
using harness::RecordFile;
using Status = harness::RubricLine::Status;
using nlohmann::json;

constexpr int kMostGraphs = 30;
constexpr int kLeastMixes = 200;

/// The newest, one from a GPU before one from a CPU.
const Check* find_check(const RecordFile& file, const char* challenge, const char* name) {
  const Check* best = nullptr;
  const auto key = [](const Check& c) {
    return std::pair(c.device.kind == harness::DeviceKind::kCuda, c.provenance.utc);
  };
  for (const Check& check : file.checks) {
    if (check.challenge == challenge && check.check == name && (best == nullptr || key(check) >= key(*best)))
      best = &check;
  }
  return best;
}

/// What keeps a check from being evidence; nullopt when it passed and may be used. `lost`: what a failed one
/// costs.
std::optional<Decision> unusable(const Check* check, const std::string& name, const char* subject,
                                 const CurrentSources& current, int lost) {
  if (check == nullptr)
    return open("no check " + name + " in the records");
  if (check->outcome == "skipped")
    return open(name + " was skipped: " + check->reason);
  if (check->device.kind != harness::DeviceKind::kCuda)
    return open(name + " ran on a CPU only (" + check->device.name + "); it needs a GPU");
  const auto now = current.find({check->challenge, subject});
  if (now != current.end() && now->second != check->provenance.sources_sha256)
    return Decision{Status::kStale, 0, name + " was made with older sources; run it again"};
  if (check->outcome != "passed")
    return Decision{Status::kLost, lost, name + " is " + check->outcome + ": " + check->reason};
  return std::nullopt;
}

/// The counts that every line asks for.
struct Counts {
  int breaks = 0, graphs = 0, later = 0, mixes = 0;

  explicit Counts(const json& evidence)
      : breaks(evidence.at("graph_breaks")),
        graphs(evidence.at("graphs")),
        later(evidence.at("recompilations_after_warm_up").get<int>() +
              evidence.at("programs_after_warm_up").get<int>()),
        mixes(evidence.at("length_mixes")) {}
  bool few() const { return breaks == 0 && graphs >= 1 && graphs <= kMostGraphs && later == 0; }
  std::string text() const {
    return std::to_string(graphs) + " graphs, " + std::to_string(breaks) + " breaks, " +
           std::to_string(later) + " compilations after warm-up over " + std::to_string(mixes) +
           " mixes of lengths";
  }
};

/// A line: our operators that must be in every graph, and what else must hold of the evidence.
struct Wanted {
  std::vector<const char*> operators;
  bool few_graphs = false;  ///< 0 breaks, at most 30 graphs, none after warm-up over 200 mixes of lengths
  bool loss = false;        ///< loss and adapters as near f64 as transformers' own
};

Decision decide(const RecordFile& file, const CurrentSources& current, const Wanted& wanted, int earned,
                int lost) {
  const Check* check = find_check(file, kTorchCompile, kHfLlama);
  if (auto decision = unusable(check, kHfLlama, kOperators, current, lost))
    return *decision;
  try {
    const json evidence = json::parse(check->evidence_json);
    const Counts counts(evidence);
    if (wanted.few_graphs && !counts.few())
      return {Status::kLost, lost, counts.text()};
    if (wanted.few_graphs && counts.mixes < kLeastMixes)
      return open("expected " + std::to_string(kLeastMixes) + " mixes of lengths, found " + counts.text());
    if (wanted.loss && evidence.at("loss_matches") != json(true))
      return {Status::kLost, lost, "the loss is not that of f64 within the band"};
    std::string proof = wanted.few_graphs ? counts.text() + ";" : "in every graph:";
    for (const char* name : wanted.operators) {
      const json& operators = evidence.at("operators");
      const std::string full = std::string("assay.") + name;
      if (!operators.contains(full) || operators.at(full).get<int>() < 1)
        return {Status::kLost, lost, full + " is not in every graph"};
      proof += " " + full + " " + operators.at(full).dump();
    }
    return {Status::kEarned, earned, proof + " on " + check->device.name};
  } catch (const json::exception& error) {
    return open(std::string(kHfLlama) + " does not say it all: " + error.what());
  }
}

std::string hf_llama_path() {
  return std::string(kTorchCompile) + "/checks/" + kHfLlama;
}

/// Points for what holds.
harness::RubricLine bonus(std::string text, int points, Wanted wanted) {
  return {
      std::move(text), points,
      [=](const RecordFile& file, const CurrentSources& now) { return decide(file, now, wanted, points, 0); },
      hf_llama_path()};
}
/// Points lost where it does not hold.
harness::RubricLine penalty(std::string text, int points, Wanted wanted) {
  return {
      std::move(text), points,
      [=](const RecordFile& file, const CurrentSources& now) { return decide(file, now, wanted, 0, points); },
      hf_llama_path()};
}
/// The check of what was tried and chosen: a table with something to choose from, kept on disk, and no search
/// after warm-up over 200 mixes of lengths.
Decision decide_products(const RecordFile& file, const CurrentSources& current, int earned, int lost) {
  const Check* check = find_check(file, kTrainingStep, kProducts);
  if (auto decision = unusable(check, kProducts, kCapturedStep, current, lost))
    return *decision;
  try {
    const json evidence = json::parse(check->evidence_json);
    const json& products = evidence.at("products");
    const std::size_t late = evidence.at("counters").at("reasons").size();
    const int tried = evidence.at("algorithms_tried"), mixes = evidence.at("length_mixes");
    const std::string text = std::to_string(products.size()) + " products, " + std::to_string(tried) +
                             " algorithms timed, " + evidence.at("not_the_first").dump() +
                             " other than cuBLASLt's first; " + std::to_string(late) +
                             " searches after warm-up over " + std::to_string(mixes) + " mixes of lengths";
    if (late > 0)
      return {Status::kLost, lost, text};
    if (mixes < kLeastMixes || tried <= static_cast<int>(products.size()))
      return open("expected a choice and " + std::to_string(kLeastMixes) + " mixes of lengths, found " +
                  text);
    if (evidence.at("counters_from_disk").at("searches") != json(0))
      return {Status::kLost, lost, "the table on disk did not spare the next step its searches; " + text};
    return {Status::kEarned, earned, text + " on " + check->device.name};
  } catch (const json::exception& error) {
    return open(std::string(kProducts) + " does not say it all: " + error.what());
  }
}
harness::RubricLine products_line(std::string text, int points, int earned, int lost) {
  return {
      .text = std::move(text),
      .points = points,
      .decide = [=](const RecordFile& file,
                    const CurrentSources& current) { return decide_products(file, current, earned, lost); },
      .evidence = std::string(kTrainingStep) + "/checks/" + kProducts};
}

harness::RubricLine flex_attention_line() {
  constexpr int kPoints = 3;
  return {.text = "Flex attention works with dynamic sequence lengths (+1 with fixed ones)",
          .points = kPoints,
          .decide = [](const RecordFile& file, const CurrentSources& current) {
            return flex_attention_works(file, current, kPoints);
          }};
}

const harness::RegisterRubric kThis(rubric);

}  // namespace

harness::Rubric rubric() {
  const Wanted attention{.operators = {"attention", "rope"}, .few_graphs = true};
  const Wanted mlp{.operators = {"swiglu", "nf4_linear"}, .few_graphs = true};
  return {.suite = "compile",
          .title = "C: torch.compile without graph breaks",
          .lines = {
              flex_attention_line(),
              penalty("The bitsandbytes dequantization is not compiled", -2, {.operators = {"nf4_linear"}}),
              bonus("Uses part A's kernel or a compiled dequantization", 1, {.operators = {"nf4_linear"}}),
              bonus("Attention compiled, without excessive recompilation", 2, attention),
              penalty("Attention compiled, with excessive recompilation", -3, attention),
              bonus("MLP compiled, without excessive recompilation", 1, mlp),
              penalty("MLP compiled, with excessive recompilation", -3, mlp),
              penalty("The loss is not compiled", -1, {.operators = {"linear_cross_entropy"}, .loss = true}),
              penalty("The layernorms are not compiled", -3, {.operators = {"rms_norm", "add_rms_norm"}}),
              products_line("Max-autotuned matmul, without excessive recompilation", 2, 2, 0),
              products_line("Max-autotuned matmul, with excessive recompilation", -2, 0, -2),
          }};
}

}  // namespace assay::suites::compile
