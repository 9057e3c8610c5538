// SPDX-License-Identifier: Apache-2.0
// A small training state over ranks, saved and loaded as an engine would.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "kernels/fsdp/checkpoint/load.hpp"
#include "kernels/fsdp/checkpoint/save.hpp"
#include "kernels/fsdp/layout/adapter_layout.hpp"

namespace assay::kernels::fsdp {

inline std::vector<AdapterTensor> sample_adapters() {
  return {{"q.lora_A", 3, 48}, {"q.lora_B", 48, 3}, {"k.lora_A", 3, 7}, {"k.lora_B", 5, 3}};
}

/// Whole tensors "weight/…", "mean/…", "square/…" of f32 bits, NaNs among them, drawn from the seed.
using Whole = std::map<std::string, std::vector<std::uint32_t>>;
inline Whole sample_state(unsigned seed) {
  std::mt19937 random(seed);
  Whole whole;
  for (const char* kind : {"weight/", "mean/", "square/"})
    for (const AdapterTensor& tensor : sample_adapters()) {
      auto& bits = whole[kind + tensor.name];
      for (std::int64_t i = 0; i < tensor.elements(); ++i)
        bits.push_back(static_cast<std::uint32_t>(random()));
    }
  return whole;
}

/// The parts of `rank`, without their bytes.
inline std::vector<TensorPart> sample_parts(int rank, int world) {
  const AdapterLayout layout(sample_adapters(), world);
  std::vector<TensorPart> parts;
  for (const char* kind : {"weight/", "mean/", "square/"})
    for (const AdapterPiece& piece : layout.owned(rank)) {
      const AdapterTensor& tensor = layout.tensors()[piece.tensor];
      parts.push_back({kind + tensor.name,
                       {Element::kFloat32, {tensor.rows, tensor.columns}},
                       piece.first,
                       piece.elements});
    }
  return parts;
}

inline ShardReceipt save_rank(Files& files, const std::filesystem::path& root, std::int64_t step, int rank,
                              int world, const Whole& whole) {
  std::vector<PartToWrite> parts;
  for (const TensorPart& part : sample_parts(rank, world)) {
    const auto bits =
        std::span(whole.at(part.name))
            .subspan(static_cast<std::size_t>(part.first), static_cast<std::size_t>(part.count));
    parts.push_back({part, std::as_bytes(bits)});
  }
  return save_shard(files, root, step, rank, world, parts);
}

inline void save_all(Files& files, const std::filesystem::path& root, std::int64_t step, int world,
                     const Whole& whole) {
  begin_checkpoint(files, root, step);
  Manifest manifest{.step = step, .model = "tiny", .state = {{"cursor", "17"}}, .shards = {}};
  for (int rank = 0; rank < world; ++rank)
    manifest.shards.push_back(parse_receipt(text_of(save_rank(files, root, step, rank, world, whole))));
  commit_checkpoint(files, root, manifest);
}

/// What `world` ranks read of the checkpoint, put together.
inline Whole load_all(const ShardedCheckpoint& checkpoint, int world) {
  Whole whole;
  for (int rank = 0; rank < world; ++rank)
    for (const TensorPart& part : sample_parts(rank, world)) {
      std::vector<std::uint32_t> bits(static_cast<std::size_t>(part.count));
      checkpoint.read(part, std::as_writable_bytes(std::span(bits)));
      auto& all = whole[part.name];
      all.resize(static_cast<std::size_t>(part.type.elements()));
      std::copy(bits.begin(), bits.end(), all.begin() + part.first);
    }
  return whole;
}

/// An empty folder that goes with the test.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "assay-checkpoint-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr)
      throw std::runtime_error("expected to make a temporary folder");
    path_ = name;
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace assay::kernels::fsdp
