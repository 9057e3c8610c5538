// SPDX-License-Identifier: Apache-2.0
// A sharded checkpoint written by all ranks of a group, or by none: save.hpp's steps with what has to be said
// between ranks.
#pragma once

#include <string>
#include <torch/csrc/distributed/c10d/Backend.hpp>
#include <vector>

#include "kernels/fsdp/checkpoint/save.hpp"

namespace assay::kernels::fsdp {

struct CheckpointTarget {
  std::filesystem::path root;
  std::int64_t step = 0;
  std::string model;      ///< as Manifest says
  ReplicatedState state;  ///< rank 0's is written
};

/// Every rank calls with its own parts. When it returns the checkpoint is committed and on disk. Where one
/// rank cannot write (no space, a name given twice, …) every rank throws CheckpointError that names it and
/// its reason, and nothing is committed.
void save_together(Files& files, const CheckpointTarget& target, std::span<const PartToWrite> parts,
                   c10d::Backend& group);

/// Every rank's text, in the order of the ranks, on every rank.
std::vector<std::string> gather_text(c10d::Backend& group, const std::string& own);

}  // namespace assay::kernels::fsdp
