// SPDX-License-Identifier: Apache-2.0
// Caught by `parity`: "Every chunk takes its own mean, then the mean of those: rows of a chunk with many
// ignored ones weigh more."
#include <ATen/TensorOperators.h>

#include "suites/backprop/mutants/mutant.hpp"

namespace assay::suites::backprop::mutants {
namespace {

std::vector<at::Tensor> call(const BackpropCase& c, const CaseTensors& t) {
  const auto chunks = chunks_of_rows(c, t);
  std::vector<at::Tensor> factors;
  for (const ChunkOfRows& chunk : chunks)
    factors.push_back(1.0 / (chunk.counted.clamp_min(1).to(at::kFloat) * static_cast<double>(chunks.size())));
  return put_together(t, chunks, factors, t.upstream);
}

const bool kThis = register_mutant({.name = "chunk_means_averaged",
                                    .about = "averages the means of unequal chunks",
                                    .make_call = stateless(call),
                                    .shows_in = is_plain_with_ignored_rows});

}  // namespace
}  // namespace assay::suites::backprop::mutants
