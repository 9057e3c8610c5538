// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "kernels/fsdp/checkpoint/digest.hpp"
#include "kernels/fsdp/checkpoint/error.hpp"
#include "kernels/fsdp/checkpoint/sample_test.hpp"

namespace assay::kernels::fsdp {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

TEST(ShardedCheckpoint, any_world_reads_the_bits_that_any_other_wrote) {
  const Whole whole = sample_state(1);
  PosixFiles files;
  for (int wrote = 1; wrote <= 8; ++wrote) {
    const TemporaryFolder root;
    save_all(files, root.path(), 120, wrote, whole);
    const auto checkpoint = ShardedCheckpoint::open_newest(root.path());
    EXPECT_EQ(checkpoint.step(), 120);
    EXPECT_EQ(checkpoint.world(), wrote);
    EXPECT_EQ(checkpoint.state().at("cursor"), "17");
    for (int reads = 1; reads <= 8; ++reads)
      EXPECT_EQ(load_all(checkpoint, reads), whole) << wrote << " to " << reads;
  }
}

TEST(ShardedCheckpoint, the_newest_committed_step_counts_and_older_ones_are_pruned) {
  const TemporaryFolder root;
  PosixFiles files;
  for (const int step : {5, 20, 100})
    save_all(files, root.path(), step, 2, sample_state(static_cast<unsigned>(step)));
  begin_checkpoint(files, root.path(), 300);  // never finished
  EXPECT_EQ(committed_steps(root.path()), (std::vector<std::int64_t>{5, 20, 100}));
  EXPECT_EQ(load_all(ShardedCheckpoint::open_newest(root.path()), 3), sample_state(100));
  prune_checkpoints(files, root.path(), 2);
  EXPECT_EQ(committed_steps(root.path()), (std::vector<std::int64_t>{20, 100}));
  EXPECT_FALSE(std::filesystem::exists(checkpoint_folder(root.path(), 5)));
}

TEST(ShardedCheckpoint, a_committed_step_is_not_overwritten_an_unfinished_one_is) {
  const TemporaryFolder root;
  PosixFiles files;
  begin_checkpoint(files, root.path(), 7);
  save_rank(files, root.path(), 7, 0, 2, sample_state(1));
  save_all(files, root.path(), 7, 2, sample_state(2));
  EXPECT_THAT([&] { save_all(files, root.path(), 7, 2, sample_state(3)); },
              ThrowsMessage<CheckpointError>(HasSubstr("a committed one")));
  EXPECT_EQ(load_all(ShardedCheckpoint::open_newest(root.path()), 1), sample_state(2));
}

TEST(ShardedCheckpoint, a_rank_that_did_not_save_cannot_be_committed) {
  const TemporaryFolder root;
  PosixFiles files;
  begin_checkpoint(files, root.path(), 7);
  const ShardReceipt first = save_rank(files, root.path(), 7, 0, 3, sample_state(1)),
                     last = save_rank(files, root.path(), 7, 2, 3, sample_state(1));
  const auto commit = [&](std::vector<ShardReceipt> shards) {
    commit_checkpoint(files, root.path(),
                      {.step = 7, .model = "tiny", .state = {}, .shards = std::move(shards)});
  };
  EXPECT_THAT(
      [&] {
        commit({first, last});
      },
      ThrowsMessage<std::invalid_argument>(HasSubstr("q.lora_A: expected all 144")));
  EXPECT_THAT(
      [&] {
        commit({first, first});
      },
      ThrowsMessage<std::invalid_argument>(HasSubstr("overlapping")));
  EXPECT_THAT([&] { commit({first}); }, ThrowsMessage<std::invalid_argument>(HasSubstr("all")));
  EXPECT_TRUE(committed_steps(root.path()).empty());
}

TEST(ShardedCheckpoint, parts_with_a_gap_of_two_types_or_outside_their_file_are_refused) {
  const TensorType type{Element::kFloat32, {10}};
  const auto tensors = [](std::vector<StoredPart> parts) {
    return [parts = std::move(parts)] { tensors_of(std::vector{ShardReceipt{"x", 100, "", parts}}); };
  };
  EXPECT_NO_THROW(tensors({{{"a", type, 4, 6}, 0}, {{"a", type, 0, 4}, 24}})());
  EXPECT_THAT(tensors({{{"a", type, 0, 4}, 0}, {{"a", type, 5, 5}, 16}}),
              ThrowsMessage<std::invalid_argument>(HasSubstr("a gap before [5, 10)")));
  EXPECT_THAT(tensors({{{"a", type, 0, 4}, 0}, {{"a", {Element::kFloat32, {2, 5}}, 4, 6}, 16}}),
              ThrowsMessage<std::invalid_argument>(HasSubstr("one type in all shards")));
  EXPECT_THAT(tensors({{{"a", type, 4, 7}, 0}}), ThrowsMessage<std::invalid_argument>(HasSubstr("[4, 11)")));
  EXPECT_THAT(tensors({{{"a", type, 0, 10}, 61}}),
              ThrowsMessage<std::invalid_argument>(HasSubstr("40 from 61 on")));
}

TEST(ShardedCheckpoint, what_is_asked_for_must_be_what_is_stored) {
  const TemporaryFolder root;
  PosixFiles files;
  save_all(files, root.path(), 1, 2, sample_state(1));
  const auto checkpoint = ShardedCheckpoint::open_newest(root.path());
  std::vector<std::byte> out(16);
  const auto read = [&](const TensorPart& part) { return [&, part] { checkpoint.read(part, out); }; };
  const TensorType type{Element::kFloat32, {5, 3}};
  EXPECT_NO_THROW(read({"mean/k.lora_B", type, 11, 4})());
  EXPECT_THAT(read({"mean/k.lora_X", type, 0, 4}),
              ThrowsMessage<CheckpointError>(HasSubstr("no such tensor")));
  EXPECT_THAT(read({"mean/k.lora_B", {Element::kFloat32, {3, 5}}, 0, 4}),
              ThrowsMessage<CheckpointError>(HasSubstr("another stored")));
  EXPECT_THAT(read({"mean/k.lora_B", type, 12, 4}),
              ThrowsMessage<CheckpointError>(HasSubstr("inside the tensor")));
  EXPECT_THAT(read({"mean/k.lora_B", type, 0, 3}), ThrowsMessage<CheckpointError>(HasSubstr("16 bytes")));
  EXPECT_NO_THROW(checkpoint.require_model("tiny"));
  EXPECT_THAT([&] { checkpoint.require_model("llama-8b"); },
              ThrowsMessage<CheckpointError>(HasSubstr("model llama-8b, found one of tiny")));
}

TEST(ShardedCheckpoint, no_folder_no_checkpoint_and_no_permission_have_their_messages) {
  const TemporaryFolder root;
  EXPECT_THAT([&] { ShardedCheckpoint::open_newest(root.path() / "none"); },
              ThrowsMessage<CheckpointError>(HasSubstr("at least one committed checkpoint")));
  PosixFiles files;
  std::ofstream(root.path() / "file") << "x";
  EXPECT_THAT([&] { begin_checkpoint(files, root.path() / "file", 1); },
              ThrowsMessage<CheckpointError>(HasSubstr("directory")));
  EXPECT_THAT([&] { files.create(root.path() / "file"); },
              ThrowsMessage<CheckpointError>(HasSubstr("exists")));
}

TEST(ShardedCheckpoint, the_digest_is_fips_180_4s) {
  const std::string abc = "abc";
  EXPECT_EQ(sha256(std::as_bytes(std::span(abc))),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256({}), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST(ShardedCheckpoint, manifests_that_lead_out_of_the_folder_or_are_none_are_refused) {
  const auto refused = [](const char* text) {
    EXPECT_THROW(parse_receipt(text), std::invalid_argument) << text;
    EXPECT_THROW(parse_manifest(text), std::invalid_argument) << text;
  };
  for (const char* text : {"", "{", "[]", "{}", "null", R"({"format":"other/2"})",
                           R"({"file":"../x","bytes":1,"sha256":"","parts":[]})",
                           R"({"file":"x","bytes":"one","sha256":"","parts":[]})",
                           R"({"file":"x","bytes":1,"sha256":"","parts":[{"name":"a","dtype":"F7"}]})"})
    refused(text);
}

}  // namespace
}  // namespace assay::kernels::fsdp
