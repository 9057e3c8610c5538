// SPDX-License-Identifier: Apache-2.0
// Caught by `parity`: "The mean divides by numel(labels), not by the rows that count."
#include <ATen/ops/full.h>

#include "suites/backprop/mutants/mutant.hpp"

namespace assay::suites::backprop::mutants {
namespace {

std::vector<at::Tensor> call(const BackpropCase& c, const CaseTensors& t) {
  const auto chunks = chunks_of_rows(c, t);
  const at::Tensor factor =
      at::full({}, 1.0 / static_cast<double>(c.rows), t.hidden.options().dtype(at::kFloat));
  return put_together(t, chunks, std::vector<at::Tensor>(chunks.size(), factor), t.upstream);
}

const bool kThis = register_mutant({.name = "ignored_rows_counted",
                                    .about = "divides by all rows, ignored ones too",
                                    .make_call = stateless(call),
                                    .shows_in = is_plain_with_ignored_rows});

}  // namespace
}  // namespace assay::suites::backprop::mutants
