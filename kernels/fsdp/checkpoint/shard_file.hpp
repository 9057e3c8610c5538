// SPDX-License-Identifier: Apache-2.0
// One rank's file: safetensors, so that anything that reads those can look into it. Each part is a
// one-dimensional tensor of its count; where it lies in the whole tensor says the manifest, and the file's
// metadata ("first") for people.
#pragma once

#include "kernels/fsdp/checkpoint/files.hpp"
#include "kernels/fsdp/checkpoint/parts.hpp"

namespace assay::kernels::fsdp {

/// Writes `directory`/`name` by way of a .partial file: written, synced, renamed, directory synced. The
/// digest is taken of the bytes as they are handed over, not read back. Throws CheckpointError;
/// std::invalid_argument for a name given twice, bytes of another length than the part.
ShardReceipt write_shard_file(Files& files, const std::filesystem::path& directory, const std::string& name,
                              std::span<const PartToWrite> parts);

}  // namespace assay::kernels::fsdp
