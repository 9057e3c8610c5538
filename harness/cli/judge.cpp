// SPDX-License-Identifier: Apache-2.0
// `verify` and `run`: the runner with records, progress and a line a row.
#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <optional>
#include <set>

#include "harness/cli/board.hpp"
#include "harness/cli/commands.hpp"
#include "harness/cli/progress.hpp"
#include "harness/cli/selection.hpp"
#include "harness/core/interrupt.hpp"
#include "harness/core/registry.hpp"
#include "harness/run/runner.hpp"

namespace assay::harness::cli {
namespace {

std::string row_text(const Record& record) {
  const std::string outcome = outcome_name(record.outcome);
  std::string text = fmt::format("{:<13} {:<46} {:<30}", outcome, record.challenge + "/" + record.case_name,
                                 record.implementation);
  const auto* passed = std::get_if<Passed>(&record.outcome);
  if (passed == nullptr)
    return text + " " + outcome_reason(record.outcome);
  if (passed->timings.empty())
    return text;
  const Timing& headline = passed->timings.front();
  text += fmt::format(" {:>10.2f} us", headline.candidate_ns / 1e3);
  if (headline.speedup) {
    text += fmt::format("  {:.3f}x [{:.3f}, {:.3f}] {}", headline.speedup->median, headline.speedup->ci_low,
                        headline.speedup->ci_high, verdict_name(headline.verdict));
  }
  if (passed->work)
    text += fmt::format("  {:.1f} % of {}", 100 * passed->work->fraction, passed->work->ceiling);
  return text;
}

/// Skips are told once an implementation and reason, not once a case.
class Printer {
 public:
  explicit Printer(Progress& progress) : progress_(progress) {}
  void operator()(const Record& record) {
    if (const auto* skipped = std::get_if<Skipped>(&record.outcome)) {
      if (!told_.insert({record.implementation, skipped->reason}).second)
        return;
    }
    progress_.print(row_text(record));
  }
  void operator()(const Check& check) {
    progress_.print(fmt::format("{:<13} {:<46} {}", check.outcome, check.challenge + " check " + check.check,
                                check.reason.empty() ? check.evidence_json.substr(0, 160) : check.reason));
  }

 private:
  Progress& progress_;
  std::set<std::pair<std::string, std::string>> told_;
};

RunSummary judge(const Common& common, RunOptions options, std::optional<RecordWriter>& writer,
                 RecordFile& kept) {
  std::vector<Challenge> made;
  const std::vector<Challenge>& challenges = challenges_for(common, options, made);
  Progress progress;
  Printer print(progress);
  RunEvents events;
  events.progress = [&](const std::string& what, int done, int total) { progress.show(what, done, total); };
  events.record = [&](const Record& record) {
    print(record);
    kept.records.push_back(record);
    if (writer)
      writer->write(record);
  };
  events.check = [&](const Check& check) {
    print(check);
    kept.checks.push_back(check);
    if (writer)
      writer->write(check);
  };
  try {
    return harness::run(challenges, options, events);
  } catch (const Interrupted&) {
    if (writer && !kept.records.empty())
      writer->commit();
    throw;
  }
}

int conclude(const RunSummary& summary) {
  fmt::print("{} passed, {} failed, {} skipped", summary.passed, summary.not_passed, summary.skipped);
  fmt::print("{}\n",
             summary.checks_passed > 0 ? fmt::format("; {} checks passed", summary.checks_passed) : "");
  return summary.all_passed() ? 0 : 1;
}

}  // namespace

int verify(const Common& common, const std::string& out) {
  RunOptions options = options_of(common);
  options.measure = false;
  std::optional<RecordWriter> writer;
  if (!out.empty())
    writer.emplace(out);
  RecordFile kept;
  const RunSummary summary = judge(common, options, writer, kept);
  if (writer)
    writer->commit();
  return conclude(summary);
}

int run(const Common& common, const std::string& out, const std::string& report_folder, double budget_scale) {
  RunOptions options = options_of(common);
  for (MeasureOptions* mode : {&options.graph, &options.cold, &options.wall})
    mode->budget_seconds *= budget_scale;
  std::optional<RecordWriter> writer;
  writer.emplace(out);
  RecordFile kept;
  const RunSummary summary = judge(common, options, writer, kept);
  writer->commit();
  write_board(kept, report_folder);
  fmt::print("records: {}\nscoreboard: {}/scoreboard.md, {}/scoreboard.html\n", out, report_folder,
             report_folder);
  return conclude(summary);
}

}  // namespace assay::harness::cli
