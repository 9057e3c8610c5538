// SPDX-License-Identifier: Apache-2.0
// Part E of the public challenge: eight lines, each decided from records and checks, never by hand. Three of
// them void what was earned before them ("part = 0"); they are worth minus that.
#include "suites/backprop/rubric.hpp"

#include "harness/report/format.hpp"
#include "suites/backprop/rubric_evidence.hpp"
#include "suites/backprop/text.hpp"

namespace assay::suites::backprop {
namespace {

using harness::CurrentSources;
using harness::RecordFile;
using harness::report::bytes_text;

Decision half_the_memory(const RecordFile& file, const CurrentSources& current) {
  const Tally tally = tally_of(file, current, kRubricChallenge, kMemoryCase);
  if (tally.named == nullptr)
    return tally.old != nullptr ? stale(tally.old->case_name)
                                : open(text("no passed record of ", kOurs, " on ", kMemoryCase, " on a GPU"));
  const auto& memory = std::get<harness::Passed>(tally.named->outcome).memory;
  if (!memory || !memory->baseline_peak_bytes)
    return open(text(kMemoryCase, " was not measured for memory"));
  const std::string proof =
      text(bytes_text(memory->peak_bytes), " above inputs and gradients against ",
           bytes_text(*memory->baseline_peak_bytes), " of the full logits, on ", tally.named->device.name);
  return 2 * memory->peak_bytes <= *memory->baseline_peak_bytes ? Decision{Status::kEarned, 2, proof}
                                                                : Decision{Status::kLost, 0, proof};
}

Decision cross_entropy_works(const RecordFile& file, const CurrentSources& current) {
  const Tally tally = tally_of(file, current, kRubricChallenge);
  if (auto decision = unusable(tally, kRubricChallenge, 0))
    return *decision;
  return {Status::kEarned, 1, text(tally.passed, " GPU cases passed against the f64 oracle")};
}

Decision other_functions_work(const RecordFile& file, const CurrentSources& current) {
  constexpr std::size_t kLeast = 6;
  std::string names, why;
  std::size_t working = 0;
  for (const char* other : {"token_logprob", "mse", "distillation", "dpo", "orpo", "simpo", "kto"}) {
    const std::string challenge = std::string("backprop/") + other;
    const auto decision = unusable(tally_of(file, current, challenge), challenge, 0);
    if (!decision) {
      ++working;
      names += (names.empty() ? "" : ", ") + std::string(other);
    } else if (decision->status == Status::kLost || decision->status == Status::kStale) {
      return *decision;
    } else {
      why = decision->proof;
    }
  }
  return working >= kLeast ? Decision{Status::kEarned, 1, names} : open(why);
}

Decision grpo_works(const RecordFile& file, const CurrentSources& current) {
  const Tally tally = tally_of(file, current, "backprop/grpo", kGrpoCase);
  if (auto decision = unusable(tally, "backprop/grpo", 0))
    return *decision;
  if (tally.named == nullptr)
    return open(text("no passed record of ", kGrpoCase, " on a GPU"));
  return {Status::kEarned, 4,
          text(tally.passed,
               " GPU cases passed against the f64 oracle, with reference policy, clipping and masks")};
}

using Decide = std::function<Decision(const RecordFile&, const CurrentSources&)>;

/// A check that voids the lines before it where it fails.
Decide voiding(const std::vector<harness::RubricLine>& before, std::string check,
               std::vector<std::string> fields, int points) {
  return [=](const RecordFile& file, const CurrentSources& current) {
    int so_far = 0;
    for (const harness::RubricLine& line : before) so_far += line.decide(file, current).points;
    return by_check(file, current, check, fields, points, so_far > 0 ? -so_far : 0);
  };
}

}  // namespace

harness::Rubric rubric() {
  harness::Rubric rubric{.suite = "backprop", .title = "E: memory-efficient backprop", .lines = {}};
  auto& lines = rubric.lines;
  lines.push_back(
      {"At most half the memory of full logits (peak above inputs and gradients)", 2, half_the_memory});
  lines.push_back({"The upcast to f32 was removed (voids what stands above)", -2,
                   voiding(lines, "f32_upcast", {"upcast_in_every_chunk"}, 0)});
  lines.push_back({"Cross entropy works: loss and gradients in f16 and bf16", 1, cross_entropy_works,
                   "backprop/cross_entropy"});
  lines.push_back({"Other functions work: at least six", 1, other_functions_work, "backprop/token_logprob"});
  lines.push_back({"Gradients are hard-coded (voids what stands above)", -4,
                   voiding(lines, "gradients_from_autograd", {"through_autograd"}, 0)});
  lines.push_back({"Dynamic chunk sizes, by rows, bytes and free memory", 1,
                   [](const RecordFile& file, const CurrentSources& current) {
                     return by_check(file, current, "dynamic_chunk_sizes",
                                     {"by_rows", "by_bytes", "by_free_memory"}, 1, 0);
                   }});
  lines.push_back({"Llama-1B training loss matches (else voids what stands above)", 1,
                   voiding(lines, "llama_training", {"llama_1b", "loss_matches", "loss_fell"}, 1)});
  lines.push_back({"GRPO works", 4, grpo_works, "backprop/grpo"});
  return rubric;
}

}  // namespace assay::suites::backprop
