// SPDX-License-Identifier: Apache-2.0
// A chunked pass as a node of autograd's graph, for any derivative of a chunk.
#pragma once

#include <memory>
#include <vector>

#include "kernels/backprop/autograd/chunk_derivative.hpp"

namespace assay::kernels::backprop {

/// What memory_efficient_linear (same contract) does with the caller's function, for any `derivative`.
at::Tensor apply_chunked(const at::Tensor& hidden, const LinearHead& head,
                         std::shared_ptr<const ChunkDerivative> derivative,
                         const std::vector<at::Tensor>& row_arguments, const std::vector<Teacher>& teachers,
                         const MemoryEfficientOptions& options);

}  // namespace assay::kernels::backprop
