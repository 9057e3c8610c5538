// SPDX-License-Identifier: Apache-2.0
// Training that goes on from a checkpoint: bit for bit on the same world, from the same bits on another.
#include <gtest/gtest.h>

#include "kernels/fsdp/checkpoint/error.hpp"
#include "kernels/fsdp/checkpoint/stopping_files_test.hpp"
#include "kernels/fsdp/engine/save_together.hpp"
#include "tests/fsdp/ranks.hpp"

namespace assay::testing {
namespace {

namespace fsdp = kernels::fsdp;
constexpr int kSaved = 5;

/// Steps up to kSaved, a checkpoint, and the rest.
std::vector<double> run_and_save(int world, const std::filesystem::path& root) {
  return losses_of(world, [&](const fsdp::RankContext& context) {
    Problem p = training_problem(sequences_of(context.rank, world));
    const fsdp::RankGroups groups = groups_of(context);
    const auto step = sharded_step(p, groups, {});
    auto losses = run_steps(*step, 1, kSaved);
    fsdp::PosixFiles files;
    fsdp::save_together(files, {.root = root, .step = kSaved, .model = "tiny", .state = {}},
                        step->adapters().parts(), *groups.reduce);
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

TEST(Resume, a_rank_that_cannot_write_is_named_on_all_and_nothing_is_committed) {
  for (int stop = 0; stop < 8; ++stop) {
    const fsdp::TemporaryFolder root;
    losses_of(3, [&](const fsdp::RankContext& context) {
      const auto group = context.group();
      const fsdp::Whole whole = fsdp::sample_state(4);
      std::vector<fsdp::PartToWrite> parts;
      for (const auto& part : fsdp::sample_parts(context.rank, 3))
        parts.push_back({part, std::as_bytes(std::span(whole.at(part.name)))
                                   .subspan(static_cast<std::size_t>(part.first) * 4,
                                            static_cast<std::size_t>(part.count) * 4)});
      fsdp::PosixFiles inner;
      fsdp::StoppingFiles files(inner, context.rank == 1 ? stop : -1,
                                [] { throw std::runtime_error("no space left"); });
      std::string message;
      try {
        fsdp::save_together(files, {.root = root.path(), .step = 9, .model = "tiny", .state = {}}, parts,
                            *group);
      } catch (const fsdp::CheckpointError& error) {
        message = error.what();
      }
      fsdp::require(message.find("on rank 1: no space left") != std::string::npos,
                    "expected rank 1's reason, found " + message);
      fsdp::PosixFiles again;
      group->barrier({});
      fsdp::require(fsdp::committed_steps(root.path()).empty(), "nothing committed");
      fsdp::save_together(again, {.root = root.path(), .step = 9, .model = "tiny", .state = {}}, parts,
                          *group);
      fsdp::require(fsdp::load_all(fsdp::ShardedCheckpoint::open_newest(root.path()), 2) == whole,
                    "saved at the second try");
      return std::vector<double>{};
    });
  }
}

}  // namespace
}  // namespace assay::testing
