// SPDX-License-Identifier: Apache-2.0
// Caught by `parity`: "The next token is the one to be predicted, so a query may look at it."
#include <ATen/ops/ones_like.h>
#include <ATen/ops/tril.h>

#include "suites/compile/mutants/mutant.hpp"

namespace assay::suites::compile::mutants {
namespace {

void spoil(const AttentionCase&, Part& part) {
  part.scores.visible = at::tril(at::ones_like(part.scores.visible), 1);
}

const bool kThis = register_mutant(
    AttentionMutant{.name = "attention_mask_off_by_one",
                    .about = "lets each query see one key too many",
                    .spoil = spoil,
                    .shows_in = [](const AttentionCase& c) { return c.mod == Mod::kCausal; }});

}  // namespace
}  // namespace assay::suites::compile::mutants
