// SPDX-License-Identifier: Apache-2.0
#include "harness/report/memory_chart.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "harness/report/axis.hpp"
#include "harness/report/format.hpp"

namespace assay::harness::report {
namespace {

constexpr double kWidth = 1000, kRow = 24, kLeft = 235, kRight = 760;

struct Part {
  const char* name;
  std::int64_t bytes;
  const char* classes;
};

std::string bar(const Memory& memory, double most, double y) {
  std::string marks;
  double x = kLeft;
  for (const Part& part :
       {Part{"tensors", memory.tensors, "tensors"}, Part{"graph pool", memory.graph_pool, "pool"},
        Part{"outside torch", memory.outside_torch, "outside"}}) {
    const double width = (kRight - kLeft) * static_cast<double>(std::max<std::int64_t>(part.bytes, 0)) / most;
    if (width > 0) {
      marks += fmt::format(
          R"(<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="13"><title>{} {}</title></rect>)",
          part.classes, x, y - 7, width, part.name, bytes_text(part.bytes));
      x += width;
    }
  }
  return marks;
}

std::string amount(const Memory& memory) {
  const std::int64_t baseline = memory.baseline_peak_bytes.value_or(0);
  return baseline > 0 ? fmt::format("{}, {:.2f}x of the baseline", bytes_text(memory.peak_bytes),
                                    static_cast<double>(memory.peak_bytes) / static_cast<double>(baseline))
                      : bytes_text(memory.peak_bytes);
}

}  // namespace

std::string memory_chart(const ChallengeBoard& challenge, const std::string& case_name) {
  std::vector<const Row*> rows;
  std::int64_t most = 0;
  for (const Row& row : challenge.rows) {
    if (row.record.case_name == case_name && row.passed() != nullptr && row.passed()->memory) {
      const Memory& memory = *row.passed()->memory;
      rows.push_back(&row);
      most = std::max({most, memory.peak_bytes, memory.tensors + memory.graph_pool + memory.outside_torch});
    }
  }
  if (most <= 0) {
    return "";
  }
  std::string marks;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const Memory& memory = *rows[i]->passed()->memory;
    const double y = kRow * (static_cast<double>(i) + 0.5) + 4;
    marks += svg_text(kLeft - 14, y + 4, rows[i]->label(), "name") +
             bar(memory, static_cast<double>(most), y) +
             svg_text(kRight + 12, y + 4, amount(memory), "quiet");
  }
  return fmt::format(R"(<svg class="chart memory" viewBox="0 0 {:.0f} {:.0f}" role="img" aria-label="Memory )"
                     R"(above inputs and outputs, {}">{}</svg>)",
                     kWidth, kRow * static_cast<double>(rows.size()) + 8, escape_html(case_name), marks);
}

}  // namespace assay::harness::report
