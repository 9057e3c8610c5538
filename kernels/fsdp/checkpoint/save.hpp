// SPDX-License-Identifier: Apache-2.0
// Writing a sharded checkpoint so that it is whole or not there. Under `root`:
//   step-00000120/shard-00000-of-00002.safetensors …   each rank its own
//   step-00000120/manifest.json                        all shards with their digests, and the replicated
//   state step-00000120/committed                            the manifest's SHA-256; written last
// A folder without `committed` is no checkpoint: whatever stopped the writer, and wherever, the checkpoint
// before it is the last one. Every file is written as .partial, synced and renamed, then its folder is
// synced.
//
//   one rank:    begin_checkpoint          → barrier
//   every rank:  save_shard                → gather the receipts' text to one rank
//   that rank:   commit_checkpoint         → barrier
#pragma once

#include <optional>

#include "kernels/fsdp/checkpoint/files.hpp"
#include "kernels/fsdp/checkpoint/manifest.hpp"

namespace assay::kernels::fsdp {

std::filesystem::path checkpoint_folder(const std::filesystem::path& root, std::int64_t step);

/// Makes the folder of `step`, removing what an interrupted writer left in it. Throws CheckpointError where
/// that step is committed already: nothing is overwritten.
void begin_checkpoint(Files& files, const std::filesystem::path& root, std::int64_t step);

/// This rank's file. Throws as write_shard_file.
ShardReceipt save_shard(Files& files, const std::filesystem::path& root, std::int64_t step, int rank,
                        int world, std::span<const PartToWrite> parts);

/// Writes manifest and marker. Throws std::invalid_argument where the shards do not hold every element of
/// every tensor once: a rank that forgot to save cannot be committed.
void commit_checkpoint(Files& files, const std::filesystem::path& root, const Manifest& manifest);

/// Steps with a marker, ascending. Empty where `root` does not exist.
std::vector<std::int64_t> committed_steps(const std::filesystem::path& root);

/// Removes all but the newest `keep` committed checkpoints, the marker first, so that none is half there and
/// looks whole.
void prune_checkpoints(Files& files, const std::filesystem::path& root, std::size_t keep);

inline constexpr const char* kManifestName = "manifest.json";
inline constexpr const char* kMarkerName = "committed";

}  // namespace assay::kernels::fsdp
