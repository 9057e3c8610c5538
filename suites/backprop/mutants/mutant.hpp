// SPDX-License-Identifier: Apache-2.0
// What the wrong implementations of this suite share: how one is declared, for which cases its fault shows,
// and the right steps of cross entropy in chunks, of which a mutant does one wrongly. Each runs on both
// devices; files are named after it.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "harness/verify/verify.hpp"
#include "suites/backprop/torch_adapter.hpp"

namespace assay::suites::backprop::mutants {

struct Mutant {
  LossKind loss = LossKind::kCrossEntropy;
  std::string name;
  const char* check = harness::checks::kParity;  ///< one of harness::checks
  std::string about;
  std::function<TorchCall()> make_call;               ///< at each prepare, so that a call may keep state
  std::function<bool(const BackpropCase&)> shows_in;  ///< cases in which the fault can be seen
};
/// Registers it for the CPU and for CUDA. Returns true, so that a static constant can hold it.
bool register_mutant(const Mutant& mutant);

/// `call` without state.
std::function<TorchCall()> stateless(TorchCall call);

/// One chunk's summed cross entropy (not yet divided) and its gradients, upstream 1, by autograd.
struct ChunkOfRows {
  std::int64_t begin = 0, rows = 0;
  at::Tensor counted;  ///< how many rows count, i64 scalar
  at::Tensor loss;
  std::vector<at::Tensor> gradients;  ///< hidden [rows, H], weight f32 [V, H]
};
/// Rows [begin, begin + rows) of a plain case (labels and weight alone).
ChunkOfRows chunk_of_rows(const BackpropCase& c, const CaseTensors& tensors, std::int64_t begin,
                          std::int64_t rows);
std::vector<ChunkOfRows> chunks_of_rows(const BackpropCase& c, const CaseTensors& tensors);

/// Loss, dX and dW from chunks, each weighed with its factor (a scalar tensor) times `upstream`.
std::vector<at::Tensor> put_together(const CaseTensors& tensors, const std::vector<ChunkOfRows>& chunks,
                                     const std::vector<at::Tensor>& factors, const at::Tensor& upstream);
/// The right factor of every chunk: 1 / number of rows that count.
std::vector<at::Tensor> right_factors(const std::vector<ChunkOfRows>& chunks);
/// All steps right.
std::vector<at::Tensor> right_cross_entropy(const BackpropCase& c, const CaseTensors& tensors);

/// Labels and a trainable weight, nothing else: what the steps above do.
bool is_plain_cross_entropy(const BackpropCase& c);
bool is_plain_with_ignored_rows(const BackpropCase& c);

}  // namespace assay::suites::backprop::mutants
