// SPDX-License-Identifier: Apache-2.0
#include "harness/report/roofline.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "harness/report/format.hpp"

namespace assay::harness::report {
namespace {

constexpr std::size_t kMostLabels = 18;
constexpr double kGiga = 1e9, kTera = 1e12;

const WorkDone* work_of(const Row& row) {
  return row.headline() != nullptr && row.passed()->work ? &*row.passed()->work : nullptr;
}

double flops_a_byte(const WorkDone& work) {
  return static_cast<double>(work.flops) / static_cast<double>(work.bytes);
}

ScatterPoint point_of(const Row& row, double x, double amount) {
  const WorkDone& work = *work_of(row);
  ScatterPoint point;
  point.x = x;
  point.y = amount / row.headline()->candidate_ns * 1e9;
  point.role = row.record.role;
  point.about = fmt::format("{} {}: {} of {}", row.record.case_name, row.label(), percent_text(work.fraction),
                            work.ceiling);
  return point;
}

/// The fastest candidate of a case is named, where the names have room.
void name_fastest(Scatter& scatter, const std::vector<const Row*>& rows) {
  std::map<std::string, std::size_t> best;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (rows[i]->record.role != Role::kCandidate) {
      continue;
    }
    const auto [entry, is_new] = best.try_emplace(rows[i]->record.case_name, i);
    if (!is_new && scatter.points[i].y > scatter.points[entry->second].y) {
      entry->second = i;
    }
  }
  if (best.size() > kMostLabels) {
    return;
  }
  for (const auto& [name, i] : best) {
    scatter.points[i].label = name;
  }
}

std::pair<double, double> range_of_x(const Scatter& scatter) {
  const auto [least, most] = std::minmax_element(scatter.points.begin(), scatter.points.end(),
                                                 [](const auto& a, const auto& b) { return a.x < b.x; });
  return {least->x, most->x};
}

double ceiling_of(const std::map<std::string, double>& ceilings, const std::string& name) {
  const auto found = ceilings.find(name);
  return found == ceilings.end() ? 0 : found->second;
}

/// Slope up to the ridge, flat from there; the flat part alone where the copy rate was not measured.
ScatterLine roof(double flat_tflops, double copy_gbps, double left, double right, std::string label) {
  const double ridge = copy_gbps > 0 ? flat_tflops * kTera / (copy_gbps * kGiga) : 0;
  ScatterLine line{.points = {}, .label = std::move(label), .is_limit = true};
  const double start = copy_gbps > 0 ? std::min(left, ridge / 2) : left;
  const auto height = [&](double x) { return std::min(flat_tflops, x * copy_gbps * kGiga / kTera); };
  line.points.emplace_back(start, copy_gbps > 0 ? height(start) : flat_tflops);
  if (ridge > start && ridge < right) {
    line.points.emplace_back(ridge, flat_tflops);
  }
  line.points.emplace_back(std::max(right, ridge), flat_tflops);
  return line;
}

}  // namespace

Scatter roofline(const ChallengeBoard& challenge, const std::map<std::string, double>& ceilings) {
  Scatter scatter{.name = "Roofline of " + challenge.challenge,
                  .x_title = "flops a byte of inputs and outputs",
                  .y_title = "TFLOP/s",
                  .log_x = true,
                  .log_y = true,
                  .points = {},
                  .lines = {}};
  std::vector<const Row*> rows;
  std::set<std::string> roofs;
  for (const Row& row : challenge.rows) {
    const WorkDone* work = work_of(row);
    if (work != nullptr && work->flops > 0 && work->bytes > 0) {
      scatter.points.push_back(point_of(row, flops_a_byte(*work), static_cast<double>(work->flops) / kTera));
      rows.push_back(&row);
      roofs.insert(work->ceiling);
    }
  }
  if (rows.empty()) {
    return scatter;
  }
  name_fastest(scatter, rows);
  const auto [left, right] = range_of_x(scatter);
  for (const std::string& name : roofs) {
    if (const double flat = ceiling_of(ceilings, name); flat > 0 && name.ends_with("_tflops")) {
      const std::string label = fmt::format("{} {}", name.substr(0, name.find("_tflops")), significant(flat));
      scatter.lines.push_back(roof(flat, ceiling_of(ceilings, "copy_gbps"), left, right, label));
    }
  }
  return scatter;
}

Scatter copy_line(const ChallengeBoard& challenge, const std::map<std::string, double>& ceilings) {
  Scatter scatter{.name = "Bytes a second of " + challenge.challenge,
                  .x_title = "bytes of inputs and outputs",
                  .y_title = "GB/s",
                  .log_x = true,
                  .points = {},
                  .lines = {}};
  std::vector<const Row*> rows;
  for (const Row& row : challenge.rows) {
    const WorkDone* work = work_of(row);
    if (work != nullptr && work->flops == 0 && work->bytes > 0) {
      const auto bytes = static_cast<double>(work->bytes);
      scatter.points.push_back(point_of(row, bytes, bytes / kGiga));
      rows.push_back(&row);
    }
  }
  if (rows.empty()) {
    return scatter;
  }
  name_fastest(scatter, rows);
  if (const double copy = ceiling_of(ceilings, "copy_gbps"); copy > 0) {
    const auto [left, right] = range_of_x(scatter);
    scatter.lines.push_back(
        {.points = {{left, copy}, {right, copy}}, .label = fmt::format("copy rate {}", significant(copy))});
  }
  return scatter;
}

}  // namespace assay::harness::report
