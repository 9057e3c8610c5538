// SPDX-License-Identifier: Apache-2.0
// One record as the cells of a table row.
#include <fmt/format.h>

#include "harness/report/board.hpp"
#include "harness/report/format.hpp"

namespace assay::harness::report {
namespace {

constexpr const char* kNothing = "–";

std::string verdict_word(Verdict verdict) {
  return verdict == Verdict::kNotResolved ? "not resolved" : std::string(verdict_name(verdict));
}

std::string with_underscores_as_spaces(std::string word) {
  for (char& c : word) {
    c = c == '_' ? ' ' : c;
  }
  return word;
}

std::string verdict_of_row(const Row& row) {
  std::string word;
  if (row.passed() == nullptr) {
    word = with_underscores_as_spaces(outcome_name(row.record.outcome));
  } else if (row.headline() == nullptr) {
    word = "verified";
  } else if (!row.headline()->speedup) {
    word = row.record.role == Role::kBaseline ? "baseline" : "timed alone";
  } else {
    word = verdict_word(row.headline()->verdict);
  }
  return row.stale ? word + ", stale" : word;
}

std::string other_modes(const Passed& passed) {
  std::string text;
  for (std::size_t i = 1; i < passed.timings.size(); ++i) {
    const Timing& timing = passed.timings[i];
    text += fmt::format("{}{} {}", text.empty() ? "" : "; ", mode_name(timing.mode),
                        timing.speedup ? interval_text(*timing.speedup) : time_text(timing.candidate_ns));
  }
  return text.empty() ? kNothing : text;
}

std::string memory_text(const Memory& memory) {
  if (!memory.baseline_peak_bytes) {
    return bytes_text(memory.peak_bytes);
  }
  const std::int64_t baseline = *memory.baseline_peak_bytes;
  if (baseline == 0) {
    return fmt::format("{}; baseline 0 B", bytes_text(memory.peak_bytes));
  }
  return fmt::format("{}; {:.2f}x of {}", bytes_text(memory.peak_bytes),
                     static_cast<double>(memory.peak_bytes) / static_cast<double>(baseline),
                     bytes_text(baseline));
}

std::string parity_text(const Parity& parity) {
  std::string text =
      parity.elements > 0
          ? fmt::format("{} of {} differ", count_text(parity.mismatches), count_text(parity.elements))
          : plural(static_cast<std::size_t>(parity.mismatches), "mismatch", "mismatches");
  text += fmt::format("; {} ulp", count_text(parity.max_ulp));
  if (parity.limit) {
    text += fmt::format("; error {:.2e} of {:.2e} allowed", parity.rel_err, *parity.limit);
  }
  return text;
}

/// "copy rate" of "copy_gbps", "matmul bf16 rate" of "matmul_bf16_tflops".
std::string rate_name(std::string ceiling) {
  for (const std::string_view unit : {"_gbps", "_tflops"}) {
    if (ceiling.ends_with(unit)) {
      ceiling = ceiling.substr(0, ceiling.size() - unit.size()) + " rate";
    }
  }
  return with_underscores_as_spaces(ceiling);
}

std::string ceiling_text(const WorkDone& work) {
  return fmt::format("{} of {}", percent_text(work.fraction), rate_name(work.ceiling));
}

}  // namespace

const Timing* Row::headline() const {
  const Passed* result = passed();
  return result != nullptr && !result->timings.empty() ? &result->timings.front() : nullptr;
}

std::string Row::path() const {
  return record.challenge + "/" + record.case_name + "/" + record.implementation;
}

std::string Row::label() const {
  return record.target_mode == "ptx_jit"
             ? fmt::format("{} (ptx_jit of {})", record.implementation, record.target_arch)
             : record.implementation;
}

Cells cells_of(const Row& row) {
  Cells cells{kNothing, verdict_of_row(row), kNothing, kNothing, kNothing, kNothing, kNothing, kNothing};
  if (const auto* wrong = std::get_if<Wrong>(&row.record.outcome); wrong != nullptr && wrong->parity) {
    cells.parity = parity_text(*wrong->parity);
  }
  const Passed* passed = row.passed();
  if (passed == nullptr) {
    return cells;
  }
  cells.parity = parity_text(passed->parity);
  cells.memory = passed->memory ? memory_text(*passed->memory) : kNothing;
  cells.ceiling = passed->work ? ceiling_text(*passed->work) : kNothing;
  if (const Timing* headline = row.headline()) {
    cells.speedup = headline->speedup ? interval_text(*headline->speedup) : kNothing;
    cells.baseline = headline->baseline.empty() ? kNothing : headline->baseline;
    cells.time = fmt::format("{} {}", time_text(headline->candidate_ns), mode_name(headline->mode));
    cells.other_modes = other_modes(*passed);
  }
  return cells;
}

}  // namespace assay::harness::report
