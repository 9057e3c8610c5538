// SPDX-License-Identifier: Apache-2.0
// The manifest of a sharded checkpoint as JSON, format assay.sharded_checkpoint/1.
#pragma once

#include "kernels/fsdp/checkpoint/parts.hpp"

namespace assay::kernels::fsdp {

/// What is the same on every rank: optimizer step counts, random states, the data cursor, the loss scale.
/// Text, so that no number is rounded on its way.
using ReplicatedState = std::map<std::string, std::string>;

struct Manifest {
  std::int64_t step = 0;
  std::string model;  ///< names the frozen base the adapters belong to, for example the digest of its files
  ReplicatedState state;
  std::vector<ShardReceipt> shards;  ///< one a rank, in their order
};

std::string text_of(const Manifest& manifest);
/// Throws std::invalid_argument saying what was expected and found.
Manifest parse_manifest(const std::string& text);

/// A receipt alone, as a rank sends it to the one that commits.
std::string text_of(const ShardReceipt& receipt);
ShardReceipt parse_receipt(const std::string& text);

}  // namespace assay::kernels::fsdp
