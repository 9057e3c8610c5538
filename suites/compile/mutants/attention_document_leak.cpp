// SPDX-License-Identifier: Apache-2.0
// Caught by `parity`: "A document's first token may see the one before it."
#include <ATen/TensorOperators.h>
#include <ATen/ops/diagonal.h>

#include "suites/compile/mutants/mutant.hpp"

namespace assay::suites::compile::mutants {
namespace {

/// One key over each boundary, and nothing else: what is wrong are single rows.
void spoil(const AttentionCase&, Part& part) {
  part.scores.visible = part.scores.visible.clone();
  part.scores.visible.diagonal(-1).fill_(true);
}

const bool kThis = register_mutant(
    AttentionMutant{.name = "attention_document_leak",
                    .about = "leaks one key across each packed boundary",
                    .spoil = spoil,
                    .shows_in = [](const AttentionCase& c) { return c.mod == Mod::kDocument; }});

}  // namespace
}  // namespace assay::suites::compile::mutants
