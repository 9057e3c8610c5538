// SPDX-License-Identifier: Apache-2.0
// A shard of a checkpoint is a safetensors file to the harness' strict reader.
#include <gtest/gtest.h>

#include <cstring>

#include "harness/io/safetensors.hpp"
#include "kernels/fsdp/checkpoint/sample_test.hpp"

namespace assay::kernels::fsdp {
namespace {

TEST(CheckpointConformance, every_shard_is_a_safetensors_file_with_the_ranks_elements) {
  const TemporaryFolder root;
  PosixFiles files;
  const Whole whole = sample_state(3);
  save_all(files, root.path(), 4, 3, whole);
  for (int rank = 0; rank < 3; ++rank) {
    const auto path =
        checkpoint_folder(root.path(), 4) / ("shard-0000" + std::to_string(rank) + "-of-00003.safetensors");
    const auto file = harness::SafetensorsFile::open(path);
    const auto parts = sample_parts(rank, 3);
    EXPECT_EQ(file.names().size(), parts.size());
    for (const TensorPart& part : parts) {
      const auto& stored = file.view(part.name);
      EXPECT_EQ(stored.dtype, harness::StoredDtype::kF32);
      ASSERT_EQ(stored.shape, std::vector<std::int64_t>{part.count});
      EXPECT_EQ(
          std::memcmp(stored.bytes.data(), whole.at(part.name).data() + part.first, stored.bytes.size()), 0);
      EXPECT_EQ(file.metadata().at("first:" + part.name), std::to_string(part.first));
    }
  }
}

}  // namespace
}  // namespace assay::kernels::fsdp
