// SPDX-License-Identifier: Apache-2.0
// Part C of the public challenge: eleven lines, nine points. The first speaks of flex attention and is
// decided by its challenge. The others speak of a captured training step, and no check of this suite looks at
// one: they are open, and say what would close them. Records of other single pieces earn nothing here.
#include "suites/compile/rubric.hpp"

#include "harness/report/rubrics.hpp"
#include "suites/compile/rubric_evidence.hpp"

namespace assay::suites::compile {
namespace {

harness::RubricLine open_line(std::string text, int points, std::string missing) {
  return {.text = std::move(text),
          .points = points,
          .decide = [missing = std::move(missing)](const harness::RecordFile&,
                                                   const harness::CurrentSources&) { return open(missing); }};
}

harness::RubricLine flex_attention_line() {
  constexpr int kPoints = 3;
  return {.text = "Flex attention works with dynamic sequence lengths (+1 with fixed ones)",
          .points = kPoints,
          .decide = [](const harness::RecordFile& file, const harness::CurrentSources& current) {
            return flex_attention_works(file, current, kPoints);
          }};
}

const harness::RegisterRubric kThis(rubric);

}  // namespace

harness::Rubric rubric() {
  const std::string graph = "no check that looks into the graph of a captured step";
  const std::string counter = "no check that counts compilations over a whole run";
  return {.suite = "compile",
          .title = "C: torch.compile without graph breaks",
          .lines = {
              flex_attention_line(),
              open_line("The bitsandbytes dequantization is not compiled", -2, graph),
              open_line("Uses part A's kernel or a compiled dequantization", 1, graph),
              open_line("Attention compiled, without excessive recompilation", 2, counter),
              open_line("Attention compiled, with excessive recompilation", -3, counter),
              open_line("MLP compiled, without excessive recompilation", 1, counter),
              open_line("MLP compiled, with excessive recompilation", -3, counter),
              open_line("The loss is not compiled", -1, graph),
              open_line("The layernorms are not compiled", -3, graph),
              open_line("Max-autotuned matmul, without excessive recompilation", 2,
                        "no check that reads the table of tried and chosen products"),
              open_line("Max-autotuned matmul, with excessive recompilation", -2, counter),
          }};
}

}  // namespace assay::suites::compile
