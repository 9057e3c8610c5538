// SPDX-License-Identifier: Apache-2.0
// Where the tables of a block mask lie in its workspace: pure functions.
#pragma once

#include <cstddef>

#include "kernels/attention/attention.hpp"

namespace assay::kernels::attention {

/// Tables with capacities and pointers into `workspace` (null: offsets from null are never formed, pointers
/// stay null).
BlockTables block_tables(const Mods& mods, const Sequences& sequences, void* workspace);

}  // namespace assay::kernels::attention
