// SPDX-License-Identifier: Apache-2.0
// Writers that are stopped between any two file operations, and files that were changed afterwards.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>

#include "kernels/fsdp/checkpoint/error.hpp"
#include "kernels/fsdp/checkpoint/sample_test.hpp"
#include "kernels/fsdp/checkpoint/stopping_files_test.hpp"

namespace assay::kernels::fsdp {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

int operations_of_a_save() {
  const TemporaryFolder root;
  PosixFiles inner;
  StoppingFiles files(inner, -1, [] {});
  save_all(files, root.path(), 2, 2, sample_state(2));
  return files.operations();
}

/// After a save of step 2 that was stopped: the checkpoint before it is whole, or step 2 is, and saving again
/// works.
void expect_one_whole_checkpoint(const std::filesystem::path& root, int stopped_at) {
  SCOPED_TRACE("stopped at operation " + std::to_string(stopped_at));
  const auto newest = ShardedCheckpoint::open_newest(root);
  EXPECT_EQ(load_all(newest, 3), sample_state(static_cast<unsigned>(newest.step())));
  PosixFiles files;
  if (newest.step() == 1)
    save_all(files, root, 2, 2, sample_state(2));
  EXPECT_EQ(load_all(ShardedCheckpoint::open_newest(root), 1), sample_state(2));
}

TEST(CheckpointDamage, a_writer_that_fails_at_any_operation_leaves_the_checkpoint_before_it) {
  const int operations = operations_of_a_save();
  EXPECT_GT(operations, 30);
  int finished = 0;
  for (int stop = 0; stop < operations; ++stop) {
    const TemporaryFolder root;
    PosixFiles inner;
    save_all(inner, root.path(), 1, 2, sample_state(1));
    StoppingFiles files(inner, stop, [] { throw Stopped(); });
    EXPECT_THROW(save_all(files, root.path(), 2, 2, sample_state(2)), Stopped);
    finished += committed_steps(root.path()).back() == 2;
    expect_one_whole_checkpoint(root.path(), stop);
  }
  EXPECT_EQ(finished, 1) << "only the directory's last sync comes after the marker's rename";
}

TEST(CheckpointDamage, a_process_killed_at_any_operation_leaves_the_checkpoint_before_it) {
  const int operations = operations_of_a_save();
  for (int stop = 0; stop < operations; ++stop) {
    const TemporaryFolder root;
    PosixFiles inner;
    save_all(inner, root.path(), 1, 2, sample_state(1));
    const pid_t child = fork();
    if (child == 0) {
      StoppingFiles files(inner, stop, [] { raise(SIGKILL); });
      save_all(files, root.path(), 2, 2, sample_state(2));
      _exit(0);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << stop;
    expect_one_whole_checkpoint(root.path(), stop);
  }
}

TEST(CheckpointDamage, pruning_that_is_stopped_leaves_no_half_checkpoint) {
  for (int stop = 0; stop < 3; ++stop) {
    const TemporaryFolder root;
    PosixFiles inner;
    for (const int step : {1, 2})
      save_all(inner, root.path(), step, 2, sample_state(static_cast<unsigned>(step)));
    StoppingFiles files(inner, stop, [] { throw Stopped(); });
    EXPECT_THROW(prune_checkpoints(files, root.path(), 1), Stopped);
    for (const std::int64_t step : committed_steps(root.path()))
      EXPECT_EQ(load_all(ShardedCheckpoint::open(checkpoint_folder(root.path(), step)), 2),
                sample_state(static_cast<unsigned>(step)));
    EXPECT_EQ(committed_steps(root.path()).back(), 2);
  }
}

std::string contents(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void replace(const std::filesystem::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

const char* const kFiles[] = {"shard-00000-of-00002.safetensors", "shard-00001-of-00002.safetensors",
                              "manifest.json", "committed"};

/// Every file of a checkpoint in turn, with its bytes, to be damaged; then opened.
template <class Damage>
void expect_refused(const Damage& damage, const std::string& message) {
  const TemporaryFolder root;
  PosixFiles files;
  save_all(files, root.path(), 1, 2, sample_state(1));
  const auto folder = checkpoint_folder(root.path(), 1);
  for (const char* name : kFiles) {
    SCOPED_TRACE(name);
    const std::string before = contents(folder / name);
    ASSERT_FALSE(before.empty());
    damage(folder / name, before);
    EXPECT_THAT([&] { ShardedCheckpoint::open(folder); }, ThrowsMessage<CheckpointError>(HasSubstr(message)));
    replace(folder / name, before);
    EXPECT_NO_THROW(ShardedCheckpoint::open(folder));
  }
}

TEST(CheckpointDamage, one_flipped_bit_anywhere_is_refused) {
  for (const double where : {0.0, 0.3, 0.999})
    expect_refused(
        [&](const std::filesystem::path& path, std::string bytes) {
          bytes[static_cast<std::size_t>(where * static_cast<double>(bytes.size()))] ^= 1;
          replace(path, bytes);
        },
        "expected");
}

TEST(CheckpointDamage, a_truncated_file_is_refused) {
  for (const std::size_t cut : {1u, 9u, 60u})
    expect_refused(
        [&](const std::filesystem::path& path, const std::string& bytes) {
          replace(path, bytes.substr(0, bytes.size() - std::min(cut, bytes.size())));
        },
        "expected");
}

TEST(CheckpointDamage, a_missing_file_is_refused) {
  expect_refused([](const std::filesystem::path& path, const std::string&) { std::filesystem::remove(path); },
                 "expected");
}

TEST(CheckpointDamage, the_message_names_the_shard_and_both_digests) {
  const TemporaryFolder root;
  PosixFiles files;
  save_all(files, root.path(), 1, 2, sample_state(1));
  const auto shard = checkpoint_folder(root.path(), 1) / kFiles[1];
  std::string bytes = contents(shard);
  bytes.back() ^= 4;
  replace(shard, bytes);
  EXPECT_THAT([&] { ShardedCheckpoint::open_newest(root.path()); },
              ThrowsMessage<CheckpointError>(
                  testing::AllOf(HasSubstr(shard.string() + ": expected SHA-256 "), HasSubstr(", found "))));
}

}  // namespace
}  // namespace assay::kernels::fsdp
