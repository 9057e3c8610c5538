// SPDX-License-Identifier: Apache-2.0
#include "kernels/fsdp/engine/save_together.hpp"

#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>

#include <cstring>

#include "kernels/fsdp/checkpoint/error.hpp"
#include "kernels/fsdp/engine/wait.hpp"

namespace assay::kernels::fsdp {
namespace {

/// Runs `work` where `takes_part`, and throws on all ranks where it threw on one.
template <class Work>
void agree(c10d::Backend& group, const CheckpointTarget& target, bool takes_part, const Work& work) {
  std::string error;
  try {
    if (takes_part)
      work();
  } catch (const std::exception& found) {
    error = found.what();
  }
  const std::vector<std::string> errors = gather_text(group, error);
  for (std::size_t rank = 0; rank < errors.size(); ++rank)
    if (!errors[rank].empty())
      throw CheckpointError(checkpoint_folder(target.root, target.step).string(),
                            "every rank to write its part",
                            "on rank " + std::to_string(rank) + ": " + errors[rank]);
}

}  // namespace

std::vector<std::string> gather_text(c10d::Backend& group, const std::string& own) {
  std::vector<at::Tensor> longest{at::full({1}, static_cast<std::int64_t>(own.size()), at::kLong)};
  c10d::AllreduceOptions largest;
  largest.reduceOp = c10d::ReduceOp::MAX;
  wait_for(group.allreduce(longest, largest));
  const std::int64_t bytes = longest[0].item<std::int64_t>() + 8;  // the text's own length in front
  at::Tensor mine = at::zeros({bytes}, at::kByte), all = at::empty({bytes * group.getSize()}, at::kByte);
  const std::uint64_t length = own.size();
  std::memcpy(mine.mutable_data_ptr(), &length, sizeof(length));
  std::memcpy(static_cast<char*>(mine.mutable_data_ptr()) + 8, own.data(), own.size());
  wait_for(group._allgather_base(all, mine));
  std::vector<std::string> texts;
  for (int rank = 0; rank < group.getSize(); ++rank) {
    const char* from = static_cast<const char*>(all.const_data_ptr()) + rank * bytes;
    std::uint64_t size = 0;
    std::memcpy(&size, from, sizeof(size));
    texts.emplace_back(from + 8, size);
  }
  return texts;
}

void save_together(Files& files, const CheckpointTarget& target, std::span<const PartToWrite> parts,
                   c10d::Backend& group) {
  const int rank = group.getRank();
  agree(group, target, rank == 0, [&] { begin_checkpoint(files, target.root, target.step); });
  ShardReceipt own;
  agree(group, target, true,
        [&] { own = save_shard(files, target.root, target.step, rank, group.getSize(), parts); });
  const std::vector<std::string> receipts = gather_text(group, text_of(own));
  agree(group, target, rank == 0, [&] {
    Manifest manifest{.step = target.step, .model = target.model, .state = target.state, .shards = {}};
    for (const std::string& receipt : receipts) manifest.shards.push_back(parse_receipt(receipt));
    commit_checkpoint(files, target.root, manifest);
  });
}

}  // namespace assay::kernels::fsdp
