// SPDX-License-Identifier: Apache-2.0
#include "kernels/compile/device/optimizer_run.hpp"

#include <stdexcept>
#include <string>

namespace assay::kernels::compile {
namespace {

void require(bool holds, const std::string& expected, const std::string& found) {
  if (!holds)
    throw std::logic_error("device step: expected " + expected + ", found " + found);
}

/// The first operation of a kind, and how many of it follow each other. All of the list must.
struct Run {
  std::size_t first = 0, count = 0;
};
Run run_of(const Program& program, OpKind kind, const char* name) {
  Run run;
  for (std::size_t i = 0; i < program.ops.size(); ++i) {
    if (program.ops[i].kind != kind)
      continue;
    if (run.count == 0)
      run.first = i;
    require(i == run.first + run.count, std::string("all ") + name + " one behind the other",
            "one more at operation " + std::to_string(i));
    ++run.count;
  }
  require(run.count > 0, std::string("a list with ") + name, "none");
  return run;
}

}  // namespace

OptimizerRun optimizer_run(const Program& program) {
  const Run sums = run_of(program, OpKind::kSquareSum, "kSquareSum"),
            steps = run_of(program, OpKind::kAdamW, "kAdamW");
  require(sums.count == steps.count, "a kSquareSum for each kAdamW",
          std::to_string(sums.count) + " for " + std::to_string(steps.count));
  require(sums.first < steps.first, "kSquareSum before kAdamW", "kAdamW first");
  const Op &first_sum = program.ops[sums.first], &first_step = program.ops[steps.first];
  const int sum = first_sum.out[0].buffer, settings = first_step.in[2].buffer;
  for (std::size_t i = 0; i < sums.count; ++i) {
    const Op &one_sum = program.ops[sums.first + i], &one_step = program.ops[steps.first + i];
    const std::string at = "another at number " + std::to_string(i);
    require(one_sum.beta == (i == 0 ? 0.0f : 1.0f), "a sum that is begun once", at);
    require(one_sum.out[0].buffer == sum && one_step.in[1].buffer == sum, "one square sum", at);
    require(one_step.in[2].buffer == settings, "one set of settings", at);
    require(one_sum.in[0].buffer == one_step.in[0].buffer, "the gradients of kSquareSum in kAdamW's order",
            at);
  }
  return {.square_sums = sums.first,
          .adamws = steps.first,
          .count = sums.count,
          .square_sum = sum,
          .settings = settings};
}

}  // namespace assay::kernels::compile
