// SPDX-License-Identifier: Apache-2.0
// Training that goes on from a checkpoint: bit for bit on the same world, from the same bits on another.
#include <gtest/gtest.h>

#include "kernels/fsdp/checkpoint/save.hpp"
#include "tests/fsdp/ranks.hpp"

namespace assay::testing {
namespace {

namespace fsdp = kernels::fsdp;
constexpr int kSaved = 5;

/// Rank 0 gathers the receipts through the reduce group, as text padded to one length.
std::vector<fsdp::ShardReceipt> gather_receipts(c10d::Backend& group, const fsdp::ShardReceipt& own) {
  constexpr std::int64_t kBytes = 1 << 18;
  const std::string text = text_of(own);
  fsdp::require(static_cast<std::int64_t>(text.size()) < kBytes, "a receipt that fits");
  at::Tensor mine = at::zeros({kBytes}, at::kByte), all = at::zeros({kBytes * group.getSize()}, at::kByte);
  std::memcpy(mine.mutable_data_ptr(), text.data(), text.size());
  fsdp::require(group._allgather_base(all, mine, {})->wait(), "gathered");
  std::vector<fsdp::ShardReceipt> receipts;
  for (int rank = 0; rank < group.getSize(); ++rank)
    receipts.push_back(
        fsdp::parse_receipt(reinterpret_cast<const char*>(all[rank * kBytes].const_data_ptr())));
  return receipts;
}

void save(const fsdp::RankContext& context, c10d::Backend& group, const std::filesystem::path& root,
          const std::vector<fsdp::PartToWrite>& parts) {
  fsdp::PosixFiles files;
  if (context.rank == 0)
    fsdp::begin_checkpoint(files, root, kSaved);
  group.barrier({});
  const auto receipts =
      gather_receipts(group, fsdp::save_shard(files, root, kSaved, context.rank, context.world, parts));
  if (context.rank == 0)
    fsdp::commit_checkpoint(
        files, root, {.step = kSaved, .model = "tiny", .state = {{"cursor", "0"}}, .shards = receipts});
  group.barrier({});
}

/// Steps up to kSaved, a checkpoint, and the rest.
std::vector<double> run_and_save(int world, const std::filesystem::path& root) {
  return losses_of(world, [&](const fsdp::RankContext& context) {
    Problem p = training_problem(sequences_of(context.rank, world));
    const fsdp::RankGroups groups = groups_of(context);
    const auto step = sharded_step(p, groups, {});
    auto losses = run_steps(*step, 1, kSaved);
    save(context, *groups.reduce, root, step->adapters().parts());
    const auto rest = run_steps(*step, kSaved + 1);
    losses.insert(losses.end(), rest.begin(), rest.end());
    return losses;
  });
}

/// The steps behind the checkpoint, in new processes.
std::vector<double> resume(int world, const std::filesystem::path& root) {
  return losses_of(world, [&](const fsdp::RankContext& context) {
    Problem p = training_problem(sequences_of(context.rank, world));
    const auto step = sharded_step(p, groups_of(context), {});
    const auto checkpoint = fsdp::ShardedCheckpoint::open_newest(root);
    checkpoint.require_model("tiny");
    step->adapters().restore(checkpoint);
    return run_steps(*step, static_cast<int>(checkpoint.step()) + 1);
  });
}

TEST(Resume, the_same_world_goes_on_bit_for_bit) {
  for (const int world : {1, 2, 4}) {
    const fsdp::TemporaryFolder root;
    const auto whole = run_and_save(world, root.path());
    EXPECT_EQ(whole, sharded_losses(world)) << "saving changes nothing";
    const std::vector<double> rest(whole.begin() + kSaved, whole.end());
    EXPECT_EQ(resume(world, root.path()), rest);
  }
}

TEST(Resume, another_world_goes_on_from_the_same_bits) {
  const fsdp::TemporaryFolder root;
  const auto whole = run_and_save(2, root.path());
  const std::vector<double> rest(whole.begin() + kSaved, whole.end());
  for (const int world : {1, 4})
    EXPECT_LT(largest_difference(resume(world, root.path()), rest), 1e-5) << world;
}

TEST(Resume, a_run_that_starts_over_instead_is_seen) {
  const fsdp::TemporaryFolder root;
  const auto whole = run_and_save(2, root.path());
  const std::vector<double> rest(whole.begin() + kSaved, whole.end()),
      first(whole.begin(), whole.begin() + kSteps - kSaved);
  EXPECT_GT(largest_difference(first, rest), 1e-2);
}

}  // namespace
}  // namespace assay::testing
