// SPDX-License-Identifier: Apache-2.0
// What of a written-down step is sharded: read off its buffers and operations, so that no list of a model's
// linears is kept a second time.
#pragma once

#include <utility>

#include "kernels/compile/program.hpp"
#include "kernels/fsdp/layout/adapter_layout.hpp"
#include "kernels/fsdp/layout/packed_layout.hpp"

namespace assay::kernels::fsdp {

/// The packed weights of each layer, in the program's order; their names are those of the program's buffers.
/// Throws std::invalid_argument for a program without any, or names that are not "layers.<number>.…".
std::vector<std::vector<PackedParameter>> packed_layers(const compile::Program& program);

/// Layers in the order in which their weights are decoded, each turn once: 0, 1, …, L - 1, L - 2, …, 0.
std::vector<int> layer_visits(const compile::Program& program);

/// Every adapter of the step.
std::vector<AdapterTensor> adapter_tensors(const compile::Program& program);

/// Forward, loss and backward alone: without clipping and AdamW, which a sharded step does on chunks, and
/// without the memory of their moments.
compile::Program without_optimizer(compile::Program program);

}  // namespace assay::kernels::fsdp
