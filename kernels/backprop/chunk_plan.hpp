// SPDX-License-Identifier: Apache-2.0
// How many rows of logits exist at a time. Pure functions, the same for every loss and device.
#pragma once

#include <cstdint>
#include <optional>

namespace assay::kernels::backprop {

/// How the rows are cut. At most one of `rows` and `bytes` is set; with neither, `free_memory_share` of what
/// is free decides. The result of a loss does not depend on the choice beyond the order in which sums are
/// rounded.
struct ChunkChoice {
  std::optional<std::int64_t> rows = {};  ///< this many rows a chunk
  std::optional<std::int64_t> bytes =
      {};                           ///< as many rows as fit into this many bytes of workspace, at least one
  double free_memory_share = 0.25;  ///< of the free bytes; never beyond what makes products faster
};

/// What the plan is made for.
struct ChunkNeeds {
  std::int64_t num_rows = 0;
  std::int64_t vocab = 0;
  std::int64_t bytes_per_logit = 2;  ///< all tensors of the workspace together, a logit
  std::int64_t free_bytes = 0;       ///< of the device; 0 where it is not known
  std::int64_t most_rows = 4096;     ///< an automatic choice goes no further: a multiple of 128
  std::int64_t least_chunks = 4;     ///< an automatic choice makes so many, as far as whole tiles allow it
};

/// Rows of every chunk but the last, which holds the rest: 1 ≤ rows ≤ max(num_rows, 1). Automatic choices are
/// multiples of 128 (a product's tile) up to num_rows / least_chunks and `most_rows`, where memory allows it:
/// below about 1000 rows the f32 accumulator of dW is read and written more often than the tensor cores can
/// use (H·V·8 bytes a chunk against 2·rows·H·V FLOP at 250 FLOP a byte), beyond 4096 no product gains. Throws
/// std::invalid_argument for a choice below 1, both choices at once, or a share outside (0, 1].
std::int64_t chunk_rows(const ChunkChoice& choice, const ChunkNeeds& needs);

}  // namespace assay::kernels::backprop
